// SPDX-License-Identifier: GPL-2.0
#include "migrate/link.h"
#include "migrate/receive.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "migrate/migrate.h"
#include "util/log.h"
#include "util/scope.h"
#include "util/text.h"

enum { TAIL_LINES = 12, TEXT_MAX = 1024 };

void receive_say(const char *fmt, ...)
{
	char line[MIGRATE_LINE_MAX] = MIGRATE_PREFIX;
	const size_t prefix = strlen(MIGRATE_PREFIX);
	va_list args;
	size_t len;
	int ret;

	va_start(args, fmt);
	ret = vsnprintf(line + prefix, sizeof(line) - prefix - 1, fmt, args);
	va_end(args);
	if (ret < 0)
		return;
	len = strlen(line);
	for (size_t i = 0; i < len; i++)
		line[i] = line[i] == '\n' ? ' ' : line[i];
	line[len++] = '\n';
	if (write(STDOUT_FILENO, line, len) != (ssize_t)len)
		log_debug("the source does not listen: %s", strerror(errno));
}

static void say_hello(void)
{
	scoped_text struct text boot = { 0 };
	const char *ssh = getenv("SSH_CONNECTION");
	struct stat ns = { 0 };

	stat("/proc/self/ns/pid", &ns);
	if (text_read_at(AT_FDCWD, "/proc/sys/kernel/random/boot_id", &boot))
		boot.len = 0;
	receive_say("hello %d %.*s %lu %.*s", MIGRATE_VERSION, boot.len ? 36 : 1,
		    boot.len ? boot.data : "-", (unsigned long)ns.st_ino,
		    ssh ? (int)strcspn(ssh, " ") : 1, ssh ? ssh : "-");
}

/* The last lines of both logs, before they are removed. */
static void say_log(const struct receive *receive, const char *name)
{
	scoped_text struct text text = { 0 };
	char *line, *save = NULL;
	size_t skip = 0, lines = 0;

	if (receive->dir_fd < 0 || text_read_at(receive->dir_fd, name, &text))
		return;
	for (size_t i = 0; i < text.len; i++)
		lines += text.data[i] == '\n';
	skip = lines > TAIL_LINES ? lines - TAIL_LINES : 0;
	for (line = strtok_r(text.data, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
		if (skip)
			skip--;
		else
			receive_say("note %s: %s", name, line);
	}
}

static void say_failed(const struct receive *receive, int ret)
{
	const char *why = log_first_error();

	say_log(receive, "lazy-pages.log");
	say_log(receive, "restore.log");
	receive_say("%s %.*s", receive->is_running ? "lost" : "failed", TEXT_MAX,
		    why ? why : strerror(-ret));
}

static int run(struct receive *receive)
{
	int ret = link_watch_signals(&receive->mask, &receive->signal_fd);

	if (ret)
		return ret;
	say_hello();
	ret = receive_images(receive);
	return ret ? ret : receive_tree(receive);
}

int migrate_receive(const struct options *opts)
{
	struct receive receive = {
		.dir_fd = -1,
		.signal_fd = -1,
		.daemon_ready = -1,
		.steps = -1,
		.go = -1,
	};
	int ret;

	options_init(&receive.opts);
	/* The first error is said to the source; standard error may be its terminal. */
	log_setup(-1, LOG_LEVEL_NONE, false);
	ret = run(&receive);
	if (ret)
		say_failed(&receive, ret);
	/* Logs of a failure were said; what ran and failed may be looked into. */
	if (receive.dir && (receive.dir_is_ours || (ret && !receive.is_running)))
		receive_clean(&receive);
	if (receive.dir_fd >= 0)
		close(receive.dir_fd);
	if (receive.signal_fd >= 0)
		close(receive.signal_fd);
	free(receive.dir);
	options_fini(&receive.opts);
	return ret;
}
