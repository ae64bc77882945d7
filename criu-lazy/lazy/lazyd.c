// SPDX-License-Identifier: GPL-2.0
/*
 * Setting up: socket, limits, supervisor; then the engine. Processes:
 *
 *   caller --daemon?--> supervisor (keeps the caller's pid, or its detached child)
 *                          `-- daemon: clone(CLONE_FILES), engine.c
 */
#include "lazy/lazyd.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "image/image.h"
#include "lazy/adopt.h"
#include "lazy/collapse.h"
#include "lazy/control.h"
#include "lazy/engine.h"
#include "lazy/guard.h"
#include "lazy/prefetch.h"
#include "lazy/recover.h"
#include "lazy/remote.h"
#include "lazy/supervisor.h"
#include "lazy/uffd.h"
#include "options/log_file.h"
#include "util/log.h"
#include "util/scope.h"

#define FEATURES_NEEDED                                                                   \
	(UFFD_FEATURE_EVENT_FORK | UFFD_FEATURE_EVENT_REMAP | UFFD_FEATURE_EVENT_REMOVE | \
	 UFFD_FEATURE_EVENT_UNMAP)
#define FEATURES_USEFUL \
	(UFFD_FEATURE_MISSING_SHMEM | UFFD_FEATURE_MISSING_HUGETLBFS | UFFD_FEATURE_THREAD_ID)

/* Room, not memory: a bit per page, and 48 bytes per area. */
#define HEAP_SIZE (1ull << 34)

enum { BACKLOG = 128 };

static int open_dirs(struct lazyd *lazyd)
{
	const struct options *opts = lazyd->opts;
	const char *images = opts->images_dir ? opts->images_dir : ".";
	const char *work = opts->work_dir ? opts->work_dir : images;

	if (opts->work_dir_fd >= 0 && !opts->work_dir)
		lazyd->work_dir = fcntl(opts->work_dir_fd, F_DUPFD_CLOEXEC, 0);
	else if (opts->images_dir_fd >= 0 && !opts->work_dir)
		lazyd->work_dir = fcntl(opts->images_dir_fd, F_DUPFD_CLOEXEC, 0);
	else
		lazyd->work_dir = open(work, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (lazyd->work_dir < 0)
		return log_errno("work directory %s", work);
	if (opts->images_dir_fd >= 0)
		return image_dir_open(NULL, fcntl(opts->images_dir_fd, F_DUPFD_CLOEXEC, 0),
				      &lazyd->images);
	return image_dir_open(images, -1, &lazyd->images);
}

static int probe(struct lazyd *lazyd)
{
	uint64_t features;
	int ret = uffd_probe_features(&features);

	if (ret)
		return log_ret(ret, "userfaultfd: not usable here (CAP_SYS_PTRACE is needed)");
	if ((features & FEATURES_NEEDED) != FEATURES_NEEDED)
		return log_ret(-EOPNOTSUPP,
			       "userfaultfd: features 0x%" PRIx64
			       " lack the events of fork, mremap or munmap",
			       features);
	ret = uffd_probe_use(FEATURES_NEEDED);
	if (ret)
		return log_ret(ret,
			       "userfaultfd: the events of fork are refused (CAP_SYS_PTRACE in "
			       "the initial user namespace is needed)");
	lazyd->features = FEATURES_NEEDED | (features & FEATURES_USEFUL);
	lazyd->has_poison = features & UFFD_FEATURE_POISON;
	lazyd->has_guard_scan = guard_scan_works();
	return 0;
}

/*
 * Is a daemon of ours listening there already? A dead one's socket is removed. Asked with a socket
 * of another type, which the living refuse with EPROTOTYPE: a connection would count as a task.
 */
/* A dead daemon's supervisor may hold what it served (--on-daemon-loss=hold): -EINPROGRESS. */
static int meet_other(int dir)
{
	int ret = control_resume(dir);

	if (ret)
		return log_ret(-EADDRINUSE, "%s: a daemon listens there", LAZY_SOCKET_NAME);
	log_warn("a daemon had died here and its tasks were held: another one goes on, with the "
		 "options of the first");
	return -EINPROGRESS;
}

static int clear_old_socket(int dir, const struct sockaddr_un *addr)
{
	scoped_fd int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return log_errno("socket");
	if (!connect(fd, (const struct sockaddr *)addr, sizeof(*addr)) || errno == EPROTOTYPE)
		return meet_other(dir);
	if (errno != ECONNREFUSED && errno != ENOENT)
		return log_errno("%s", LAZY_SOCKET_NAME);
	if (unlinkat(dir, LAZY_SOCKET_NAME, 0) && errno != ENOENT)
		return log_errno("%s: remove", LAZY_SOCKET_NAME);
	return 0;
}

/* Bound by another name first: who finds the socket finds it listening. */
static int start_listening(struct lazyd *lazyd)
{
	static const char early[] = "." LAZY_SOCKET_NAME;
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int one = 1;
	int ret;

	/* By way of the descriptor: a path may be longer than sun_path. */
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/%s", lazyd->work_dir,
		 LAZY_SOCKET_NAME);
	ret = clear_old_socket(lazyd->work_dir, &addr);
	if (ret)
		return ret;
	snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/%s", lazyd->work_dir,
		 early);
	unlinkat(lazyd->work_dir, early, 0);
	lazyd->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	/* Tasks connect; what they are must come from the kernel (SCM_CREDENTIALS). */
	if (lazyd->listen_fd < 0 ||
	    setsockopt(lazyd->listen_fd, SOL_SOCKET, SO_PASSCRED, &one, sizeof(one)) ||
	    bind(lazyd->listen_fd, (struct sockaddr *)&addr, sizeof(addr)) ||
	    listen(lazyd->listen_fd, BACKLOG) ||
	    renameat(lazyd->work_dir, early, lazyd->work_dir, LAZY_SOCKET_NAME))
		return log_errno("%s: listen", LAZY_SOCKET_NAME);
	return 0;
}

int lazyd_open_log(const struct options *opts)
{
	struct options own = *opts;

	own.log_file = (char *)LAZY_LOG_NAME;
	return options_open_log(&own);
}

/* Nothing of the caller's is held but a terminal: who reads our output to its end would wait for as
 * long as we live. */
static int detach(const struct options *opts)
{
	pid_t pid = fork();
	int fd;

	if (pid < 0)
		return log_errno("daemon: fork");
	if (pid > 0)
		_exit(0);
	setsid();
	if (log_fd() < 0 && !isatty(STDERR_FILENO) && lazyd_open_log(opts))
		log_warn("the log ends here");
	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (fd >= 0) {
		dup2(fd, STDIN_FILENO);
		dup2(fd, STDOUT_FILENO);
		/* The bar of --progress stays where it was asked for. */
		if (!isatty(STDERR_FILENO) || (log_fd() >= 0 && !opts->progress))
			dup2(fd, STDERR_FILENO);
		close(fd);
	}
	return 0;
}

/* With a limit, locking all that will be mapped would make mapping the images fail. */
static void lock_memory(void)
{
	const size_t trial_size = 1ull << 36;
	void *trial;

	if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)) {
		log_debug("mlockall: %s", strerror(errno));
		return;
	}
	trial = mmap(NULL, trial_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
		     0);
	if (trial == MAP_FAILED)
		munlockall();
	else
		munmap(trial, trial_size);
}

/* Nothing here may fail the restore; each makes a bad day less likely. */
static void protect_self(void)
{
	struct rlimit limit;
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd >= 0) {
		if (write(fd, "-1000", 5) < 0)
			log_debug("oom_score_adj: %s", strerror(errno));
		close(fd);
	}
	if (!getrlimit(RLIMIT_NOFILE, &limit)) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	lock_memory();
}

static int write_pidfile(const struct lazyd *lazyd)
{
	const char *path = lazyd->opts->pidfile;
	scoped_fd int fd = -1;

	if (!path)
		return 0;
	fd = openat(lazyd->work_dir, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0 || dprintf(fd, "%d", getpid()) < 0)
		return log_errno("pidfile %s", path);
	return 0;
}

static int prepare_engine(struct lazyd *lazyd)
{
	sigset_t mask;
	int ret;

	sigemptyset(&mask);
	sigaddset(&mask, SIGTERM);
	sigaddset(&mask, SIGINT);
	sigprocmask(SIG_BLOCK, &mask, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGCHLD, SIG_IGN);
	lazyd->signal_fd = signalfd(-1, &mask, SFD_CLOEXEC | SFD_NONBLOCK);
	lazyd->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (lazyd->signal_fd < 0 || lazyd->epoll_fd < 0)
		return log_errno("epoll");
	ret = engine_watch(lazyd, lazyd->listen_fd, &lazyd->listen_watch, WATCH_LISTEN, NULL);
	if (!ret)
		ret = engine_watch(lazyd, lazyd->signal_fd, &lazyd->signal_watch, WATCH_SIGNAL,
				   NULL);
	if (!ret)
		ret = engine_watch(lazyd, lazyd->supervisor_pidfd, &lazyd->supervisor_watch,
				   WATCH_SUPERVISOR, NULL);
	if (!ret)
		control_watch(lazyd);
	return ret;
}

/* One for each further processor we may use; none is no failure. */
static void start_copiers(struct lazyd *lazyd)
{
	cpu_set_t cpus;
	int count = sched_getaffinity(0, sizeof(cpus), &cpus) ? 1 : CPU_COUNT(&cpus);

	while (lazyd->nr_copiers < count - 1 && lazyd->nr_copiers < COPIERS_MAX &&
	       !copier_start(&lazyd->copiers[lazyd->nr_copiers]))
		lazyd->nr_copiers++;
}

static void say_ready(const struct lazyd *lazyd)
{
	int fd = lazyd->opts->status_fd;

	if (fd < 0)
		return;
	if (write(fd, "", 1) != 1)
		log_warn("status descriptor %d: nobody reads it", fd);
	close(fd);
}

static void release(struct lazyd *lazyd)
{
	struct source_ref *ref;
	struct segment *segment;

	workset_fini(&lazyd->workset);
	workset_fini(&lazyd->workset_first);
	workset_fini(&lazyd->recorded);
	stats_fini(&lazyd->stats);
	while (lazyd->nr_copiers)
		copier_stop(&lazyd->copiers[--lazyd->nr_copiers]);
	while ((segment = SLIST_FIRST(&lazyd->segments))) {
		SLIST_REMOVE_HEAD(&lazyd->segments, link);
		owed_bits_put(segment->bits);
		free(segment);
	}
	while ((ref = SLIST_FIRST(&lazyd->sources))) {
		SLIST_REMOVE_HEAD(&lazyd->sources, link);
		lazy_source_close(ref->source);
		free(ref);
	}
}

/* The daemon's whole life after the split; does not return. */
static void serve(struct lazyd *lazyd)
{
	bool is_next = lazyd->journal->generation > 0;
	int ret = is_next ? adopt_begin(lazyd) : 0;

	if (!ret)
		ret = prepare_engine(lazyd);
	protect_self();
	/* What is brought ahead would not be recorded. */
	if (!ret && !lazyd->opts->record_working_set &&
	    lazyd->opts->memory_mode == MEMORY_MODE_WORKING_SET &&
	    workset_load(lazyd->images, &lazyd->workset))
		log_warn("lazy-working-set.img: not used");
	if (!ret)
		ret = remote_open(lazyd);
	if (!ret && is_next)
		ret = recover(lazyd);
	if (!ret) {
		prefetch_open(lazyd);
		start_copiers(lazyd);
		if (!is_next)
			say_ready(lazyd);
		ret = engine_run(lazyd);
	}
	unlinkat(lazyd->work_dir, LAZY_SOCKET_NAME, 0);
	control_close(lazyd);
	remote_close(lazyd);
	if (lazyd->opts->record_working_set && lazyd->recorded.count)
		workset_save(&lazyd->recorded, lazyd->images);
	stats_finish(lazyd);
	release(lazyd);
	atomic_store(&lazyd->journal->finished, ret ? 2 : 1);
	collapse_all(lazyd);
	_exit(ret ? 1 : 0);
}

int lazyd_run(const struct options *opts)
{
	struct lazyd lazyd = { .opts = opts, .listen_fd = -1, .control_fd = -1, .work_dir = -1 };
	int ret;

	TAILQ_INIT(&lazyd.spaces);
	LIST_INIT(&lazyd.conns);
	SLIST_INIT(&lazyd.segments);
	SLIST_INIT(&lazyd.sources);
	SLIST_INIT(&lazyd.collapses);
	ret = open_dirs(&lazyd);
	if (!ret)
		ret = probe(&lazyd);
	if (!ret)
		ret = start_listening(&lazyd);
	if (!ret && opts->daemon)
		ret = detach(opts);
	if (!ret)
		ret = write_pidfile(&lazyd);
	if (ret == -EINPROGRESS) {
		say_ready(&lazyd);
		return 0;
	}
	if (ret)
		return ret;
	lazyd.journal = journal_new();
	if (!lazyd.journal || heap_init(&lazyd.heap, HEAP_SIZE))
		return log_ret(-ENOMEM, "journal");
	control_open(&lazyd);
	ret = supervisor_split(&lazyd);
	if (ret)
		return ret;
	serve(&lazyd);
	return 0;
}
