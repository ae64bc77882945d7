// SPDX-License-Identifier: GPL-2.0
/* The source end: what it waits for, and what it does about each failure. */
#include "migrate/link.h"
#include "migrate/source.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "migrate/forward.h"
#include "migrate/migrate.h"
#include "transport/net.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/scope.h"
#include "util/text.h"

enum {
	HELLO_MS = 120000, /* somebody may have to type a password */
	STEP_TIMEOUT_MS = 120000,
	LOOK_MS = 200,
	CLOSE_MS = 30000,
	LAST_WORDS_MS = 3000,
};

/* ---- what the other end says -------------------------------------------------------- */

static int hear_hello(struct source *source, const char *rest)
{
	scoped_text struct text boot = { 0 };
	char its_boot[64], seen[64];
	unsigned long its_pids;
	struct stat ns = { 0 };
	int version;

	if (sscanf(rest, "%d %63s %lu %63s", &version, its_boot, &its_pids, seen) != 4)
		return log_ret(-EPROTO, "the destination greets with \"%s\"", rest);
	if (version != MIGRATE_VERSION)
		return log_ret(-EPROTO, "the destination has another version of criu-lazy");
	if (!source->host[0] && strcmp(seen, "-") != 0)
		snprintf(source->host, sizeof(source->host), "%s", seen);
	source->shares_pids = !stat("/proc/self/ns/pid", &ns) && ns.st_ino == its_pids &&
			      !text_read_at(AT_FDCWD, "/proc/sys/kernel/random/boot_id", &boot) &&
			      !strncmp(boot.data, its_boot, 36);
	source->state = SOURCE_GREETED;
	return 0;
}

static int hear_line(struct source *source, const char *word, const char *rest)
{
	log_debug("destination: %s %s", word, rest);
	if (!strcmp(word, "hello") && source->state == SOURCE_BEGIN)
		return hear_hello(source, rest);
	if (!strcmp(word, "note")) {
		log_info("destination: %s", rest);
	} else if (!strcmp(word, "ready") && source->state == SOURCE_DUMPED) {
		source->state = SOURCE_MADE;
		source->made_at = clock_us();
	} else if (!strcmp(word, "running") && source->state == SOURCE_COMMITTED) {
		source->state = SOURCE_RUNNING;
		source->running_at = clock_us();
	} else if (!strcmp(word, "progress")) {
		source->percent = strtod(rest, NULL);
	} else if (!strcmp(word, "complete") && source->state == SOURCE_RUNNING) {
		source->state = SOURCE_COMPLETE;
		source->complete_at = clock_us();
		source->percent = 100;
		source->figures = strdup(rest);
	} else if (!strcmp(word, "failed") && !source->failed) {
		source->failed = strdup(*rest ? rest : "for no reason given");
	} else if (!strcmp(word, "lost") && !source->lost) {
		source->lost = strdup(*rest ? rest : "for no reason given");
	}
	return 0;
}

static int hear_link(struct source *source)
{
	char *word, *rest;
	int ret = 0;

	while (!ret && link_line(&source->link, &word, &rest))
		ret = hear_line(source, word, rest);
	source->link_is_lost = source->link.out < 0;
	return ret;
}

static void hear_dump(struct source *source)
{
	struct source_event event;
	ssize_t got;

	while ((got = read(source->events, &event, sizeof(event))) == sizeof(event)) {
		if (event.what == EVENT_FREEZE)
			source->frozen_at = event.at;
		else if (event.what == EVENT_DUMPED)
			source->dumped_at = event.at;
	}
	if (!got) {
		close(source->events);
		source->events = -1;
	}
}

static void hear_signals(struct source *source)
{
	struct signalfd_siginfo info;

	while (read(source->signal_fd, &info, sizeof(info)) == sizeof(info))
		source->nr_signals += info.ssi_signo != SIGCHLD;
	if (source->dump > 0 && waitpid(source->dump, &source->dump_status, WNOHANG) > 0)
		source->dump = 0;
}

/* Waits a while for whatever comes. 0, or what came made no sense. */
static int hear(struct source *source, int timeout_ms)
{
	struct pollfd fds[] = {
		{ .fd = source->signal_fd, .events = POLLIN },
		{ .fd = source->link.out, .events = POLLIN },
		{ .fd = source->events, .events = POLLIN },
	};

	if (poll(fds, 3, timeout_ms) < 0 && errno != EINTR)
		return log_errno("poll");
	/* What a child has said comes before its end. */
	if (source->events >= 0)
		hear_dump(source);
	hear_signals(source);
	return source->link.out >= 0 ? hear_link(source) : 0;
}

/* ---- until the tree may run there ------------------------------------------------------ */

static int why_not(struct source *source)
{
	if (source->nr_signals)
		return log_ret(-EINTR, "stopped by a signal");
	if (source->failed)
		return log_ret(-EREMOTEIO, "destination: %s", source->failed);
	if (source->dump < 0 || (source->frozen_at && !source->dump))
		return -ECANCELED; /* it has said why */
	if (source->link_is_lost && source->state == SOURCE_BEGIN)
		return log_ret(-EPIPE, "the remote command ended before \"" MIGRATE_COMMAND
				       "\" ran: is criu-lazy there (--remote-criu)?");
	if (source->link_is_lost)
		return log_ret(-EPIPE, "the remote command has ended");
	return 0;
}

static bool has_dumped(const struct source *source)
{
	return source->dumped_at;
}

static bool is_greeted(const struct source *source)
{
	return source->state >= SOURCE_GREETED;
}

static bool is_made(const struct source *source)
{
	return source->state >= SOURCE_MADE;
}

static int wait_until(struct source *source, bool (*is_so)(const struct source *), int timeout_ms,
		      const char *what)
{
	uint64_t end = clock_us() + (uint64_t)timeout_ms * 1000;
	int ret = 0;

	while (!ret && !is_so(source)) {
		source_show(source);
		ret = hear(source, LOOK_MS);
		if (!ret && !is_so(source))
			ret = why_not(source);
		if (!ret && !is_so(source) && clock_us() > end)
			ret = log_ret(-ETIMEDOUT, "no %s within %d s", what, timeout_ms / 1000);
	}
	return ret;
}

static int greet(struct source *source)
{
	return wait_until(source, is_greeted, HELLO_MS, "answer of the destination");
}

static int send_start(struct source *source)
{
	const struct migrate_start start = { .shares_pids = source->shares_pids };
	const char *dir = source->opts->remote_dir ? source->opts->remote_dir : "";
	int ret = forward_options(&source->link, source->opts, source->host, source->port);

	if (!ret)
		ret = link_send(&source->link, MIGRATE_DIR, dir, strlen(dir));
	if (!ret)
		ret = source_send_images(source);
	if (!ret)
		ret = link_send(&source->link, MIGRATE_START, &start, sizeof(start));
	/* Why it does not listen any more is in what it said. */
	if (ret == -EPIPE || ret == -ETIMEDOUT) {
		for (int i = 0; i < LAST_WORDS_MS / LOOK_MS && !source->failed; i++)
			hear(source, LOOK_MS);
		return source->failed ? why_not(source) : log_ret(ret, "the remote command");
	}
	return ret;
}

static int listen_for_pages(struct source *source)
{
	if (!source->host[0])
		return log_ret(-EDESTADDRREQ,
			       "--address: where does the destination find this host?");
	source->listen_fd = net_listen(source->host, source->opts->port);
	if (source->listen_fd < 0)
		return log_ret(source->listen_fd,
			       "--address %s: is to be an address of this host that the "
			       "destination can reach",
			       source->host);
	source->port = net_port(source->listen_fd);
	return 0;
}

static int make_there(struct source *source)
{
	int ret = send_start(source);

	return ret ? ret : wait_until(source, is_made, STEP_TIMEOUT_MS, "tree at the destination");
}

/* ---- GO --------------------------------------------------------------------------------- */

static int commit(struct source *source)
{
	int ret = source_detach_dump(source);

	if (ret)
		return ret;
	source_bar_tree(source);
	source->state = SOURCE_COMMITTED;
	/* Even if this fails it may have arrived. */
	if (link_send(&source->link, MIGRATE_GO, NULL, 0))
		log_warn("the remote command ended as the tree was to run there");
	return 0;
}

static void heed_signal(struct source *source, int *heeded)
{
	if (source->nr_signals == *heeded)
		return;
	*heeded = source->nr_signals;
	if (*heeded == 1) {
		log_warn("the tree may run at the destination: staying until it has all its "
			 "memory; a second signal ends the source, and what was not fetched is "
			 "lost");
	} else if (source->dump > 0) {
		kill(source->dump, SIGTERM);
	}
}

static int wait_complete(struct source *source)
{
	bool has_warned = false;
	int heeded = source->nr_signals, ret = 0;

	while (!ret && source->dump > 0 && !source->failed && !source->lost) {
		source_show(source);
		ret = hear(source, LOOK_MS);
		heed_signal(source, &heeded);
		if (source->link_is_lost && !has_warned && source->dump > 0 &&
		    source->state != SOURCE_COMPLETE) {
			log_warn("the remote command has ended; the page server stays until the "
				 "destination has everything");
			has_warned = true;
		}
	}
	if (source->failed || source->lost)
		return log_ret(-EREMOTEIO, "destination: %s",
			       source->failed ? source->failed : source->lost);
	if (!ret && source->dump_status)
		return -EIO; /* it has said why */
	for (int i = 0; !ret && i < LAST_WORDS_MS / LOOK_MS && !source->link_is_lost &&
			source->state < SOURCE_COMPLETE;
	     i++)
		ret = hear(source, LOOK_MS);
	return ret;
}

/* ---- failures ----------------------------------------------------------------------------- */

static void forget_answers(struct source *source)
{
	free(source->failed);
	free(source->lost);
	source->failed = source->lost = NULL;
	source->link_is_lost = false;
	source->nr_signals = 0;
	source->state = SOURCE_BEGIN;
}

/* The tree had to end to make room for its pids: it is restored here, from what keepers have. */
static int restore_here(struct source *source)
{
	int ret;

	log_warn("the tree had ended to make room: restoring it here");
	forget_answers(source);
	ret = link_open_here(&source->link, &source->mask);
	if (!ret)
		ret = greet(source);
	source->shares_pids = true;
	source->state = SOURCE_DUMPED;
	if (!ret)
		ret = make_there(source);
	if (!ret)
		ret = commit(source);
	while (!ret && source->state < SOURCE_COMPLETE && source->dump > 0) {
		ret = hear(source, LOOK_MS);
		if (!ret && (source->failed || source->lost))
			ret = log_ret(-EREMOTEIO, "%s",
				      source->failed ? source->failed : source->lost);
		if (!ret && source->link_is_lost)
			ret = log_ret(-EPIPE, "the restore here");
	}
	if (source->dump > 0)
		kill(source->dump, SIGTERM);
	link_close(&source->link, CLOSE_MS);
	return ret;
}

static void take_back(struct source *source)
{
	link_close(&source->link, source->state == SOURCE_BEGIN ? 0 : CLOSE_MS);
	if (source->dump > 0 && source->frozen_at && !source_tree_lives(source)) {
		if (restore_here(source))
			log_err("the tree could not be restored here");
		else
			log_err("the migration failed; the tree runs on here, restored");
		return;
	}
	source_call_dump_off(source);
	source_unbar_tree(source);
	if (source->frozen_at)
		log_err("the migration failed; the tree runs on here");
}

/* It runs, or ran, there: nothing here may run any more without somebody's word. */
static void leave(struct source *source)
{
	if (source->dump > 0)
		kill(source->dump, SIGTERM);
	while (source->dump > 0 && waitpid(source->dump, &source->dump_status, 0) < 0 &&
	       errno == EINTR)
		;
	source->dump = 0;
	link_close(&source->link, CLOSE_MS);
}

static int move(struct source *source)
{
	int ret = link_open(&source->link, source->opts, &source->mask);

	if (!ret)
		ret = greet(source);
	if (!ret)
		ret = listen_for_pages(source);
	if (!ret)
		ret = source_note_stopped(source);
	if (!ret)
		ret = source_start_dump(source);
	if (!ret)
		ret = wait_until(source, has_dumped, STEP_TIMEOUT_MS, "images");
	if (!ret) {
		source->state = SOURCE_DUMPED;
		ret = make_there(source);
	}
	if (!ret)
		ret = commit(source);
	if (!ret)
		ret = wait_complete(source);
	source_show_end(source);
	if (!ret)
		link_close(&source->link, CLOSE_MS);
	else if (source->state < SOURCE_COMMITTED || source->failed)
		take_back(source);
	else
		leave(source);
	return ret;
}

/* ---- begin and end -------------------------------------------------------------------------- */

static int check(const struct options *opts)
{
	if (!opts->tree_pid)
		return log_ret(-EINVAL, "migrate: which process? -t PID is needed");
	if (!opts->to_host && !opts->rsh)
		return log_ret(-EINVAL, "migrate: where to? --to HOST is needed, or --rsh COMMAND");
	if (opts->to_host && opts->to_host[0] == '-')
		return log_ret(-EINVAL, "migrate: --to %s: is no host", opts->to_host);
	if (opts->remote_criu && !link_words_are_plain(opts->remote_criu))
		return log_ret(-EINVAL,
			       "migrate: --remote-criu %s: only letters, digits and ./_-+@:,%% "
			       "mean the same to every remote command",
			       opts->remote_criu);
	if (opts->remote_dir && opts->remote_dir[0] != '/')
		return log_ret(-EINVAL, "migrate: --remote-dir %s: an absolute path is needed",
			       opts->remote_dir);
	if (opts->final_state != FINAL_KILL)
		return log_ret(-EINVAL, "migrate: -s and -R: a tree runs at one end only");
	return 0;
}

static int prepare_dir(struct source *source)
{
	char path[] = "/var/tmp/criu-lazy-migrate-XXXXXX";

	if (source->opts->images_dir) {
		source->dir = strdup(source->opts->images_dir);
		return source->dir ? 0 : -ENOMEM;
	}
	if (!mkdtemp(path))
		return log_errno("directory %s", path);
	source->dir = strdup(path);
	source->dir_is_ours = true;
	return source->dir ? 0 : -ENOMEM;
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static void fini(struct source *source)
{
	if (source->dir_is_ours && source->dir)
		nftw(source->dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
	if (source->listen_fd >= 0)
		close(source->listen_fd);
	if (source->events >= 0)
		close(source->events);
	if (source->signal_fd >= 0)
		close(source->signal_fd);
	free(source->stopped);
	free(source->dir);
	free(source->failed);
	free(source->lost);
	free(source->figures);
}

int migrate_run(const struct options *opts)
{
	struct source source = {
		.opts = opts,
		.listen_fd = -1,
		.signal_fd = -1,
		.events = -1,
		.link = { .in = -1, .out = -1 },
	};
	int ret = check(opts);

	if (opts->address)
		snprintf(source.host, sizeof(source.host), "%s", opts->address);
	if (!ret)
		ret = prepare_dir(&source);
	if (!ret)
		ret = link_watch_signals(&source.mask, &source.signal_fd);
	if (!ret)
		ret = move(&source);
	if (!ret)
		source_print_summary(&source);
	fini(&source);
	return ret;
}
