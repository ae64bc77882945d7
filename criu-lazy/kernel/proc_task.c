// SPDX-License-Identifier: GPL-2.0
#include "kernel/proc_task.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int proc_stat_parse(const char *text, struct proc_stat *out)
{
	/* comm may hold anything, also parentheses; nothing after it does. */
	const char *open = strchr(text, '('), *close = strrchr(text, ')');
	size_t len;

	if (!open || !close || close < open)
		return -EBADMSG;
	len = close - open - 1;
	if (len >= sizeof(out->comm))
		return -EBADMSG;
	memset(out, 0, sizeof(*out));
	memcpy(out->comm, open + 1, len);
	/* From field 3: state ppid pgrp session tty tpgid flags, 11 more, nice (19), ... */
	if (sscanf(close + 1, " %c %d %d %d %*d %*d %u %*u %*u %*u %*u %*u %*u %*d %*d %*d %d",
		   &out->state, &out->ppid, &out->pgrp, &out->session, &out->flags,
		   &out->nice) != 6)
		return -EBADMSG;
	close = strrchr(text, ' '); /* exit_code (52) is the last */
	out->exit_code = close ? atoi(close) : 0;
	return 0;
}

/* The value after "name:" at the start of a line, or NULL. Lines come in a fixed order, so
 * *from moves on. */
static const char *find_line(const char **from, const char *name)
{
	size_t len = strlen(name);
	const char *line = *from;

	while (line && *line) {
		const char *end = strchr(line, '\n');

		if (!strncmp(line, name, len) && line[len] == ':') {
			*from = end ? end + 1 : line + strlen(line);
			return line + len + 1;
		}
		line = end ? end + 1 : NULL;
	}
	return NULL;
}

static int parse_groups(const char *line, struct proc_status *out)
{
	const char *end = strchr(line, '\n');
	size_t cap = 0;

	for (;;) {
		char *next;
		unsigned long gid = strtoul(line, &next, 10);

		if (next == line || (end && next > end))
			return 0;
		if (out->nr_groups == cap) {
			uint32_t *groups;

			cap = cap ? cap * 2 : 16;
			groups = realloc(out->groups, cap * sizeof(*groups));
			if (!groups)
				return -ENOMEM;
			out->groups = groups;
		}
		out->groups[out->nr_groups++] = gid;
		line = next;
	}
}

/* The last number of a line of numbers; their count in *depth. -1 without any. */
static pid_t last_number(const char *line, size_t *depth)
{
	const char *end = strchr(line, '\n');
	pid_t last = -1;

	*depth = 0;
	for (;;) {
		char *next;
		long n = strtol(line, &next, 10);

		if (next == line || (end && next > end))
			return last;
		last = n;
		++*depth;
		line = next;
	}
}

static uint64_t hex_line(const char **at, const char *name)
{
	const char *value = find_line(at, name);

	return value ? strtoull(value, NULL, 16) : 0;
}

static int parse_ids(const char **at, const char *name, uint32_t ids[4])
{
	const char *value = find_line(at, name);

	if (!value || sscanf(value, "%u %u %u %u", &ids[0], &ids[1], &ids[2], &ids[3]) != 4)
		return -EBADMSG;
	return 0;
}

static int parse_ns_pids(const char **at, struct proc_status *out)
{
	struct {
		const char *name;
		pid_t *value;
	} const lines[] = {
		{ "NStgid", &out->ns_tgid },
		{ "NSpid", &out->ns_pid },
		{ "NSpgid", &out->ns_pgid },
		{ "NSsid", &out->ns_sid },
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		const char *value = find_line(at, lines[i].name);

		if (!value)
			return -EBADMSG;
		*lines[i].value = last_number(value, &out->ns_depth);
		if (*lines[i].value < 0)
			return -EBADMSG;
	}
	return 0;
}

/* Order of the lines: fs/proc/array.c, proc_pid_status(). */
static int parse_status(const char *at, struct proc_status *out)
{
	const char *value;
	int ret;

	value = find_line(&at, "Umask");
	if (value) {
		out->umask = strtoul(value, NULL, 8);
		out->has_umask = true;
	}
	value = find_line(&at, "State");
	if (!value || sscanf(value, " %c", &out->state) != 1)
		return -EBADMSG;
	value = find_line(&at, "TracerPid");
	if (!value)
		return -EBADMSG;
	out->tracer = strtol(value, NULL, 10);
	if (parse_ids(&at, "Uid", out->uid) || parse_ids(&at, "Gid", out->gid))
		return -EBADMSG;
	value = find_line(&at, "Groups");
	if (!value)
		return -EBADMSG;
	ret = parse_groups(value, out);
	if (ret)
		return ret;
	ret = parse_ns_pids(&at, out);
	if (ret)
		return ret;
	out->has_pending = hex_line(&at, "SigPnd") != 0;
	out->has_pending |= hex_line(&at, "ShdPnd") != 0;
	out->cap_inh = hex_line(&at, "CapInh");
	out->cap_prm = hex_line(&at, "CapPrm");
	out->cap_eff = hex_line(&at, "CapEff");
	out->cap_bnd = hex_line(&at, "CapBnd");
	out->cap_amb = hex_line(&at, "CapAmb");
	out->no_new_privs = hex_line(&at, "NoNewPrivs") != 0;
	out->seccomp = hex_line(&at, "Seccomp");
	return 0;
}

int proc_status_parse(const char *text, struct proc_status *out)
{
	int ret;

	memset(out, 0, sizeof(*out));
	ret = parse_status(text, out);
	if (ret)
		proc_status_free(out);
	return ret;
}

void proc_status_free(struct proc_status *status)
{
	free(status->groups);
	status->groups = NULL;
	status->nr_groups = 0;
}

static int parse_limit(const char **at, uint64_t *out)
{
	char *end;

	*at += strspn(*at, " ");
	if (!strncmp(*at, "unlimited", 9)) {
		*out = UINT64_MAX;
		*at += 9;
		return 0;
	}
	*out = strtoull(*at, &end, 10);
	if (end == *at)
		return -EBADMSG;
	*at = end;
	return 0;
}

int proc_limits_parse(const char *text, struct proc_rlimit out[PROC_RLIMITS])
{
	/* fs/proc/base.c, lnames[]: rows come in this, the numeric, order. */
	static const char *const names[PROC_RLIMITS] = {
		"Max cpu time",		"Max file size",      "Max data size",
		"Max stack size",	"Max core file size", "Max resident set",
		"Max processes",	"Max open files",     "Max locked memory",
		"Max address space",	"Max file locks",     "Max pending signals",
		"Max msgqueue size",	"Max nice priority",  "Max realtime priority",
		"Max realtime timeout",
	};
	const char *line = strchr(text, '\n'); /* after the heading */

	for (size_t i = 0; i < PROC_RLIMITS; i++) {
		size_t len = strlen(names[i]);
		const char *at;

		if (!line || strncmp(++line, names[i], len))
			return -EBADMSG;
		at = line + len;
		if (parse_limit(&at, &out[i].cur) || parse_limit(&at, &out[i].max))
			return -EBADMSG;
		line = strchr(line, '\n');
	}
	return 0;
}

static int parse_notify(const char *word, struct proc_timer *timer)
{
	static const struct {
		const char *name;
		int value;
	} kinds[] = { { "signal/", SIGEV_SIGNAL },
		      { "none/", SIGEV_NONE },
		      { "thread/", SIGEV_THREAD } };

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		size_t len = strlen(kinds[i].name);

		if (strncmp(word, kinds[i].name, len))
			continue;
		timer->notify = kinds[i].value;
		word += len;
		if (!strncmp(word, "tid.", 4))
			timer->notify |= SIGEV_THREAD_ID;
		else if (strncmp(word, "pid.", 4))
			return -EBADMSG;
		timer->target = strtol(word + 4, NULL, 10);
		return 0;
	}
	return -EBADMSG;
}

static int parse_timer(const char *at, struct proc_timer *timer, int *eaten)
{
	char notify[64];

	*eaten = 0;
	if (sscanf(at, "ID: %d signal: %d/%" SCNx64 " notify: %63s ClockID: %d%n", &timer->id,
		   &timer->signal, &timer->sigval, notify, &timer->clock, eaten) != 5 ||
	    !*eaten)
		return -EBADMSG;
	return parse_notify(notify, timer);
}

int proc_timers_parse(const char *text, struct proc_timer **out, size_t *count)
{
	struct proc_timer *timers = NULL;
	size_t cap = 0, n = 0;
	int ret = 0;

	*out = NULL;
	*count = 0;
	for (text += strspn(text, " \n"); *text && !ret; text += strspn(text, " \n")) {
		int eaten;

		if (n == cap) {
			struct proc_timer *more;

			cap = cap ? cap * 2 : 8;
			more = realloc(timers, cap * sizeof(*timers));
			if (!more) {
				ret = -ENOMEM;
				break;
			}
			timers = more;
		}
		ret = parse_timer(text, &timers[n], &eaten);
		if (ret)
			break;
		n++;
		text += eaten;
	}
	if (ret) {
		free(timers);
		return ret;
	}
	*out = timers;
	*count = n;
	return 0;
}
