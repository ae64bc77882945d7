// SPDX-License-Identifier: GPL-2.0
/*
 * The dump. It is told to take the tree back by SIGUSR1, which it also gets when we die; once the
 * destination may run the tree, it is told by SIGUSR2 not to get that any more, and says that it
 * has heard. So no death of ours makes the tree run twice, or not at all.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <fcntl.h>

#include "dump/dump.h"
#include "migrate/source.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/scope.h"
#include "util/text.h"

enum { END_MS = 15000 };

/* ---- in the child ------------------------------------------------------------------ */

static int event_fd; /* all that a handler can reach */

static void tell(char what)
{
	const struct source_event event = { .at = clock_us(), .what = what };

	if (write(event_fd, &event, sizeof(event)) != sizeof(event))
		return; /* nobody is there to hear it */
}

static void detach(int sig)
{
	int saved = errno;

	prctl(PR_SET_PDEATHSIG, 0);
	tell(EVENT_DETACHED);
	errno = saved;
}

static int reach(void *ctx, const char *stage, pid_t pid)
{
	if (!strcmp(stage, "pre-dump"))
		tell(EVENT_FREEZE);
	else if (!strcmp(stage, "status-ready"))
		tell(EVENT_DUMPED);
	return 0;
}

static void __attribute__((noreturn)) be_dump(struct source *source, int events, pid_t parent)
{
	const struct sigaction action = { .sa_handler = detach, .sa_flags = SA_RESTART };
	const struct stage_hook hook = { .call = reach };
	struct options opts = *source->opts;

	event_fd = events;
	sigaction(SIGUSR2, &action, NULL);
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGUSR1);
	sigprocmask(SIG_SETMASK, &source->mask, NULL);
	/* Its figures lie beside the images. */
	if (getppid() != parent || (!source->opts->work_dir && chdir(source->dir)))
		_exit(1);
	opts.images_dir = source->dir;
	opts.lazy_pages = true;
	opts.page_server = false;
	opts.final_state = FINAL_KILL;
	opts.ps_socket = source->listen_fd;
	opts.keep_tree = !source->shares_pids;
	opts.hook = &hook;
	_exit(dump_run(&opts) ? 1 : 0);
}

/* ---- in the parent ------------------------------------------------------------------- */

int source_start_dump(struct source *source)
{
	pid_t self = getpid();
	int events[2];

	if (pipe2(events, O_CLOEXEC))
		return log_errno("pipe");
	source->dump = fork();
	if (!source->dump) {
		close(events[0]);
		/* The dump must not keep the remote command from seeing our end. */
		link_forget(&source->link);
		be_dump(source, events[1], self);
	}
	close(events[1]);
	source->events = events[0];
	fcntl(source->events, F_SETFL, O_NONBLOCK);
	return source->dump < 0 ? log_errno("fork") : 0;
}

static bool dump_is_over(struct source *source)
{
	if (source->dump > 0 && waitpid(source->dump, &source->dump_status, WNOHANG))
		source->dump = 0;
	return source->dump <= 0;
}

int source_detach_dump(struct source *source)
{
	const struct timespec step = { .tv_nsec = 100000 };
	struct source_event event;

	if (source->dump <= 0 || kill(source->dump, SIGUSR2))
		return -ESRCH;
	while (read(source->events, &event, sizeof(event)) != sizeof(event) ||
	       event.what != EVENT_DETACHED) {
		if (dump_is_over(source))
			return -ESRCH;
		nanosleep(&step, NULL);
	}
	return 0;
}

void source_call_dump_off(struct source *source)
{
	const struct timespec step = { .tv_nsec = 1000000 };

	if (source->dump > 0)
		kill(source->dump, SIGUSR1);
	for (int i = 0; i < END_MS && !dump_is_over(source); i++)
		nanosleep(&step, NULL);
	if (source->dump > 0)
		log_err("the dump (process %d) does not end", source->dump);
}

bool source_tree_lives(const struct source *source)
{
	scoped_text struct text text = { 0 };
	char path[32];
	const char *state;

	snprintf(path, sizeof(path), "/proc/%d/stat", source->opts->tree_pid);
	if (text_read_at(AT_FDCWD, path, &text))
		return false;
	state = strrchr(text.data, ')');
	return state && strlen(state) > 2 && state[2] != 'Z' && state[2] != 'X';
}
