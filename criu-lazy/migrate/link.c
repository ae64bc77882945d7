// SPDX-License-Identifier: GPL-2.0
#include "migrate/link.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "options/options.h"
#include "util/log.h"
#include "util/scope.h"

enum { SEND_MS = 60000, STEP_MS = 5, WORDS_MAX = 16 };

bool link_words_are_plain(const char *words)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				    "0123456789/._-+@:,% ";

	return *words && *words != '-' && *words != ' ' && !words[strspn(words, plain)];
}

/* ---- starting it ------------------------------------------------------------- */

static void __attribute__((noreturn))
become(char *const argv[], int in, int out, const sigset_t *mask)
{
	sigprocmask(SIG_SETMASK, mask, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (dup2(in, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0)
		execvp(argv[0], argv);
	log_errno("%s", argv[0]);
	_exit(127);
}

static int start(struct link *link, char *const argv[], const sigset_t *mask)
{
	int to[2] = { -1, -1 }, from[2] = { -1, -1 };

	*link = (struct link){ .in = -1, .out = -1 };
	if (pipe2(to, O_CLOEXEC) || pipe2(from, O_CLOEXEC))
		return log_errno("pipe");
	link->pid = fork();
	if (!link->pid)
		become(argv, to[0], from[1], mask);
	close(to[0]);
	close(from[1]);
	link->in = to[1];
	link->out = from[0];
	fcntl(link->in, F_SETFL, O_NONBLOCK);
	fcntl(link->out, F_SETFL, O_NONBLOCK);
	return link->pid < 0 ? log_errno("fork") : 0;
}

/*
 * The text of --rsh is for the shell here; what follows goes to it as words: the host, then plain
 * words, which a shell at the other end leaves as they are.
 */
int link_open(struct link *link, const struct options *opts, const sigset_t *mask)
{
	const char *remote = opts->remote_criu ? opts->remote_criu : "criu-lazy";
	scoped_free char *script = NULL, *words = strdup(remote);
	char *argv[6 + WORDS_MAX] = { "/bin/sh", "-c" };
	char *save = NULL;
	size_t count = 2;

	if (!words || asprintf(&script, "exec %s \"$@\"", opts->rsh ? opts->rsh : "ssh") < 0)
		return -ENOMEM;
	argv[count++] = script;
	argv[count++] = "sh";
	if (opts->to_host)
		argv[count++] = opts->to_host;
	for (char *word = strtok_r(words, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		if (count == 4 + WORDS_MAX)
			return log_ret(-E2BIG, "--remote-criu: too many words");
		argv[count++] = word;
	}
	argv[count++] = MIGRATE_COMMAND;
	argv[count] = NULL;
	return start(link, argv, mask);
}

int link_open_here(struct link *link, const sigset_t *mask)
{
	char *argv[] = { "/proc/self/exe", MIGRATE_COMMAND, NULL };

	return start(link, argv, mask);
}

/* ---- talking ------------------------------------------------------------------- */

static int send_bytes(int fd, const char *bytes, size_t len)
{
	while (len) {
		struct pollfd room = { .fd = fd, .events = POLLOUT };
		ssize_t done = write(fd, bytes, len);

		if (done < 0 && errno != EAGAIN && errno != EINTR)
			return -errno;
		if (done > 0) {
			bytes += done;
			len -= (size_t)done;
		} else if (poll(&room, 1, SEND_MS) == 0) {
			return -ETIMEDOUT;
		}
	}
	return 0;
}

int link_send(struct link *link, enum migrate_type type, const void *bytes, size_t len)
{
	const struct migrate_record record = { .type = type, .len = (uint32_t)len };
	int ret =
		link->in < 0 ? -EPIPE : send_bytes(link->in, (const char *)&record, sizeof(record));

	return ret || !len ? ret : send_bytes(link->in, bytes, len);
}

/* The line that was given out last goes. */
static void drop_used(struct link *link)
{
	memmove(link->line, link->line + link->used, link->len - link->used);
	link->len -= link->used;
	link->used = 0;
}

/* False: nothing came. */
static bool fill(struct link *link)
{
	ssize_t got;

	if (link->len == sizeof(link->line)) /* too long to be a line of ours */
		link->len = 0;
	if (link->out < 0)
		return false;
	got = read(link->out, link->line + link->len, sizeof(link->line) - link->len);
	if (got > 0) {
		link->len += (size_t)got;
		return true;
	}
	if (got == 0 || (errno != EAGAIN && errno != EINTR)) {
		close(link->out);
		link->out = -1;
	}
	return false;
}

static void split(char *line, char **word, char **rest)
{
	*word = line + strlen(MIGRATE_PREFIX);
	*rest = *word + strcspn(*word, " ");
	if (**rest)
		*(*rest)++ = '\0';
}

bool link_line(struct link *link, char **word, char **rest)
{
	drop_used(link);
	while (true) {
		char *end = memchr(link->line, '\n', link->len);

		if (!end && !fill(link))
			return false;
		if (!end)
			continue;
		*end = '\0';
		link->used = (size_t)(end - link->line) + 1;
		if (!strncmp(link->line, MIGRATE_PREFIX, strlen(MIGRATE_PREFIX))) {
			split(link->line, word, rest);
			return true;
		}
		log_debug("remote command: %s", link->line);
		drop_used(link);
	}
}

void link_hang_up(struct link *link)
{
	if (link->in >= 0)
		close(link->in);
	link->in = -1;
}

void link_forget(struct link *link)
{
	link_hang_up(link);
	if (link->out >= 0)
		close(link->out);
	link->out = -1;
}

static bool is_over(struct link *link)
{
	if (link->pid > 0 && !waitpid(link->pid, NULL, WNOHANG))
		return false;
	link->pid = 0;
	return true;
}

void link_close(struct link *link, int timeout_ms)
{
	const struct timespec step = { .tv_nsec = STEP_MS * 1000000L };
	char *word, *rest;

	link_hang_up(link);
	for (int waited = 0; !is_over(link) && waited < timeout_ms; waited += STEP_MS) {
		while (link_line(link, &word, &rest))
			log_info("remote: %s %s", word, rest);
		nanosleep(&step, NULL);
	}
	if (link->pid > 0) {
		log_warn("the remote command does not end: ending it");
		kill(link->pid, SIGTERM);
		waitpid(link->pid, NULL, 0);
		link->pid = 0;
	}
	if (link->out >= 0)
		close(link->out);
	link->out = -1;
}

int link_watch_signals(sigset_t *mask, int *signal_fd)
{
	sigset_t set;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, mask);
	*signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	return *signal_fd < 0 ? log_errno("signalfd") : 0;
}
