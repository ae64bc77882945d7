// SPDX-License-Identifier: GPL-2.0
/*
 * A restored task says hello (lazy/protocol.h). The other end is code of ours inside a task
 * that may be anybody's, so every count and address is checked, nothing blocks, and a connection
 * that talks nonsense is answered with an error and closed.
 *
 * Until it is answered a hello is looked at (MSG_PEEK) and left where it is, with its descriptor:
 * should this daemon be killed, the next one begins with it anew. What it had armed by then nobody
 * has run on, and arming it again is no harm. The last hello that was answered is known by the
 * cookie of its socket, and only answered again. A hello too large for the socket's buffer is taken
 * out of it; a daemon killed meanwhile makes that restore fail.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lazy/arm.h"
#include "lazy/durable.h"
#include "lazy/engine.h"
#include "lazy/prefetch.h"
#include "lazy/remote.h"
#include "lazy/uffd.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/scope.h"

#define TASK_TOP     (1ull << 56)
#define HUGE_TOP     (1ull << 30)
#define SEGMENT_MAX  (1ull << 46)
#define KNOWN_FLAGS  (LAZY_RANGE_DONTFORK | LAZY_RANGE_WIPEONFORK | LAZY_RANGE_HUGEPAGE)
#define EAGER_TRY_NS 2000000000ull
/* How long the background waits for a restore to say that its tasks run. */
#define RESTORE_PATIENCE_NS 30000000ull

/* How long a task waits for its part of the working set to come from elsewhere. */
#define WORKSET_PATIENCE_NS 500000000ull

/* Fits a socket's buffer, whatever the sizes of its parts. */
enum { PEEK_MAX = 64 << 10 };
enum { RANGES_MAX = 1 << 18, EAGER_MAX = 1 << 18, TASKS_MAX = 1 << 22 };

struct conn {
	LIST_ENTRY(conn) link;
	struct watch watch;
	int fd;
	int uffd;  /* received; -1 */
	pid_t pid; /* the sender's, as the kernel says */
	struct lazy_hello hello;
	char *body;	     /* ranges, then eager pages */
	struct space *space; /* armed; waits for eager pages that are elsewhere */
	uint64_t deadline;   /* ns, for eager pages that are here */
	uint64_t patience;   /* ns, for the working set */
	bool is_filled;	     /* with what was here of the working set */
	bool is_lost;	     /* while it waited */
	bool is_taken;	     /* out of the socket, as it is read */
	size_t got, body_size;
};

static const struct lazy_range *conn_ranges(const struct conn *conn)
{
	return (const void *)conn->body;
}

static const struct lazy_eager *conn_eager(const struct conn *conn)
{
	return (const void *)(conn->body + conn->hello.nr_ranges * sizeof(struct lazy_range));
}

/* SO_RCVLOWAT has no use here but to tell a successor, on the socket itself. */
static bool is_taken(int fd)
{
	socklen_t len = sizeof(int);
	int mark = 1;

	return !getsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &mark, &len) && mark > 1;
}

static int start_peeking(int fd)
{
	int start = 0;

	return setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &start, sizeof(start)) ? -errno : 0;
}

static void start_taking(struct conn *conn)
{
	int mark = 2, none = -1;

	setsockopt(conn->fd, SOL_SOCKET, SO_RCVLOWAT, &mark, sizeof(mark));
	setsockopt(conn->fd, SOL_SOCKET, SO_PEEK_OFF, &none, sizeof(none));
	conn->is_taken = true;
	conn->got = 0;
}

/* What is looked at stays readable, so epoll is to tell of changes only. */
static int watch(struct lazyd *lazyd, struct conn *conn)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLRDHUP | EPOLLET,
				     .data.ptr = &conn->watch };

	conn->watch = (struct watch){ .kind = WATCH_CONN, .object = conn };
	if (epoll_ctl(lazyd->epoll_fd, EPOLL_CTL_ADD, conn->fd, &event))
		return log_errno("epoll: watch descriptor %d", conn->fd);
	return 0;
}

static struct conn *conn_new(struct lazyd *lazyd, int fd)
{
	struct conn *conn = calloc(1, sizeof(*conn));

	lazyd->quiet_since = 0;
	if (!conn) {
		close(fd);
		lazyd->nr_lost++;
		return NULL;
	}
	conn->fd = fd;
	conn->uffd = -1;
	LIST_INSERT_HEAD(&lazyd->conns, conn, link);
	if (start_peeking(fd) || watch(lazyd, conn)) {
		lazyd->nr_lost++;
		conn_close(lazyd, conn);
		return NULL;
	}
	return conn;
}

static bool accept_one(struct lazyd *lazyd)
{
	int fd = accept4(lazyd->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return false;
	conn_new(lazyd, fd);
	return true;
}

/* All that wait: with none accepted and none waiting, nobody is on the way (engine.c). */
void conn_accept(struct lazyd *lazyd)
{
	while (accept_one(lazyd))
		;
}

/* Closed over what is unread, the other end would be told of an error. */
static void drain(int fd)
{
	char rest[4096];

	while (recv(fd, rest, sizeof(rest), MSG_DONTWAIT) > 0)
		;
}

void conn_close(struct lazyd *lazyd, struct conn *conn)
{
	LIST_REMOVE(conn, link);
	drain(conn->fd);
	close(conn->fd);
	if (conn->uffd >= 0)
		close(conn->uffd);
	free(conn->body);
	free(conn);
}

static uint64_t cookie_of(int fd)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);

	return getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len) ? 0 : cookie;
}

static void answer(struct lazyd *lazyd, struct conn *conn, int status)
{
	struct lazy_ack ack = { .magic = LAZY_HELLO_MAGIC, .status = status };

	if (send(conn->fd, &ack, sizeof(ack), MSG_NOSIGNAL | MSG_DONTWAIT) != sizeof(ack))
		log_warn("task %d: left before the answer", conn->hello.pid);
}

void conn_adopt(struct lazyd *lazyd, int fd)
{
	struct conn *conn;

	if (is_taken(fd)) {
		log_err("a hello was half read when the daemon died: its restore fails");
		lazyd->nr_lost++;
		lazyd->error = lazyd->error ? lazyd->error : -ECONNRESET;
		close(fd);
		return;
	}
	conn = conn_new(lazyd, fd);
	if (!conn || !lazyd->cookie || cookie_of(fd) != lazyd->cookie)
		return;
	answer(lazyd, conn, lazyd->cookie_status);
	conn_close(lazyd, conn);
}

static int check_hello(const struct lazy_hello *hello)
{
	if (hello->magic != LAZY_HELLO_MAGIC || hello->version != LAZY_PROTOCOL_VERSION)
		return log_ret(-EPROTO, "hello: magic 0x%x, version %u are not ours", hello->magic,
			       hello->version);
	if (hello->flags || hello->pid <= 0 || hello->nr_ranges > RANGES_MAX ||
	    hello->nr_eager > EAGER_MAX || !hello->nr_tasks || hello->nr_tasks > TASKS_MAX)
		return log_ret(-EPROTO, "hello: pid %d, %u ranges, %u eager, %u tasks, flags 0x%x",
			       hello->pid, hello->nr_ranges, hello->nr_eager, hello->nr_tasks,
			       hello->flags);
	return 0;
}

static bool is_range_sane(const struct lazy_range *range)
{
	uint64_t size = range->page_size;

	if (range->kind < LAZY_RANGE_ANON || range->kind > LAZY_RANGE_HUGETLB ||
	    range->flags & ~KNOWN_FLAGS)
		return false;
	if (range->kind == LAZY_RANGE_HUGETLB
		    ? size <= LAZY_PAGE || size >= HUGE_TOP || size & (size - 1)
		    : size != LAZY_PAGE)
		return false;
	if (range->kind == LAZY_RANGE_SHMEM &&
	    (range->pgoff & (LAZY_PAGE - 1) || range->pgoff > SEGMENT_MAX))
		return false;
	return range->start < range->end && range->end <= TASK_TOP &&
	       !((range->start | range->end) & (size - 1));
}

static int check_body(const struct conn *conn)
{
	const struct lazy_range *ranges = conn_ranges(conn);
	const struct lazy_eager *eager = conn_eager(conn);

	for (uint32_t i = 0; i < conn->hello.nr_ranges; i++) {
		if (!is_range_sane(&ranges[i]) || (i && ranges[i].start < ranges[i - 1].end))
			return log_ret(-EPROTO,
				       "task %d: hello: range %u: 0x%" PRIx64 "-0x%" PRIx64
				       " kind %u flags 0x%x",
				       conn->hello.pid, i, ranges[i].start, ranges[i].end,
				       ranges[i].kind, ranges[i].flags);
	}
	for (uint32_t i = 0; i < conn->hello.nr_eager; i++) {
		if (eager[i].start >= eager[i].end || eager[i].end > TASK_TOP ||
		    (eager[i].start | eager[i].end) & (LAZY_PAGE - 1) ||
		    (i && eager[i].start < eager[i - 1].end))
			return log_ret(-EPROTO,
				       "task %d: hello: eager %u: 0x%" PRIx64 "-0x%" PRIx64,
				       conn->hello.pid, i, eager[i].start, eager[i].end);
	}
	if (conn->hello.nr_ranges && conn->uffd < 0)
		return log_ret(-EPROTO, "task %d: hello: no userfaultfd came with it",
			       conn->hello.pid);
	return 0;
}

static void take_control(struct conn *conn, struct msghdr *msg)
{
	for (struct cmsghdr *part = CMSG_FIRSTHDR(msg); part; part = CMSG_NXTHDR(msg, part)) {
		if (part->cmsg_level != SOL_SOCKET)
			continue;
		if (part->cmsg_type == SCM_CREDENTIALS) {
			struct ucred creds;

			memcpy(&creds, CMSG_DATA(part), sizeof(creds));
			conn->pid = creds.pid;
		} else if (part->cmsg_type == SCM_RIGHTS) {
			size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);

			for (size_t i = 0; i < count; i++) {
				int fd;

				memcpy(&fd, CMSG_DATA(part) + i * sizeof(int), sizeof(fd));
				if (conn->uffd < 0)
					conn->uffd = fd;
				else
					close(fd);
			}
		}
	}
}

/* 1: progress, 0: nothing now, -errno: over. */
static int receive(struct conn *conn, void *to, size_t len)
{
	char control[CMSG_SPACE(4 * sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
	struct iovec part = { .iov_base = to, .iov_len = len };
	struct msghdr msg = { .msg_iov = &part,
			      .msg_iovlen = 1,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	int flags = MSG_CMSG_CLOEXEC | MSG_DONTWAIT | (conn->is_taken ? 0 : MSG_PEEK);
	ssize_t got = recvmsg(conn->fd, &msg, flags);

	if (got < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	take_control(conn, &msg);
	if (!got)
		return -ECONNRESET;
	conn->got += (size_t)got;
	return 1;
}

/* -EINPROGRESS: some are elsewhere; all of those have been asked for. */
static int fill_all_eager(struct lazyd *lazyd, struct space *space, const struct conn *conn)
{
	const struct lazy_eager *eager = conn_eager(conn);
	int pending = 0;

	for (uint32_t i = 0; i < conn->hello.nr_eager; i++) {
		int ret = fill_eager(lazyd, space, eager[i].start, eager[i].end);

		if (ret == -EAGAIN && clock_ns() < conn->deadline) {
			space_read(lazyd, space);
			i--;
		} else if (ret == -EINPROGRESS) {
			pending = ret;
		} else if (ret) {
			return log_ret(ret, "task %d: eager pages 0x%" PRIx64 "-0x%" PRIx64,
				       space->image_pid, eager[i].start, eager[i].end);
		}
	}
	return pending;
}

/* The handshake is once for all; a daemon that was killed may have done it. */
static int enable(struct lazyd *lazyd, const struct space *space)
{
	int ret = uffd_enable(space->uffd, lazyd->features);

	if (ret == -EINVAL && lazyd->journal->generation &&
	    !uffd_wake(space->uffd, 1ull << 32, (1ull << 32) + LAZY_PAGE))
		ret = 0;
	return ret;
}

static int arm(struct lazyd *lazyd, struct space *space, const struct conn *conn)
{
	int ret;

	durable_enter(lazyd, space);
	if (space->slot < 0)
		return log_ret(-ENOSPC, "task %d: more than %d address spaces", conn->hello.pid,
			       JOURNAL_SLOTS);
	fcntl(space->uffd, F_SETFL, O_NONBLOCK);
	ret = enable(lazyd, space);
	if (ret)
		return log_ret(ret, "task %d: userfaultfd handshake, features 0x%" PRIx64,
			       conn->hello.pid, lazyd->features);
	space_identify(lazyd, space, conn->pid ? conn->pid : conn->hello.host_pid_hint);
	if (space->pidfd < 0)
		log_warn("task %d: its process is not known here", conn->hello.pid);
	ret = arm_ranges(lazyd, space, conn_ranges(conn), conn->hello.nr_ranges);
	if (!ret && space->is_gone)
		ret = -ESRCH;
	if (!ret)
		ret = engine_watch(lazyd, space->uffd, &space->watch, WATCH_SPACE, space);
	return ret;
}

/* A page brought now costs 1.5 us, a fault that waits for it 10 or more. */
static bool must_wait_for_workset(struct lazyd *lazyd, struct conn *conn)
{
	if (!conn->is_filled)
		prefetch_fill(lazyd, conn->space);
	conn->is_filled = true;
	if (!prefetch_is_pending(lazyd, conn->space))
		return false;
	if (clock_ns() >= conn->patience) {
		log_info("task %d: goes without part of its working set", conn->hello.pid);
		return false;
	}
	lazyd->refill_at = conn->patience;
	return true;
}

/* The eager pages, of which some may be under way still: -EINPROGRESS. */
static int fill_armed(struct lazyd *lazyd, struct conn *conn)
{
	struct space *space = conn->space;
	int ret;

	conn->deadline = clock_ns() + EAGER_TRY_NS;
	ret = fill_all_eager(lazyd, space, conn);
	if (!ret && space->is_gone)
		ret = -ESRCH;
	if (ret == -EINPROGRESS)
		return ret;
	if (!ret && must_wait_for_workset(lazyd, conn))
		return -EINPROGRESS;
	space->is_arming = false;
	conn->space = NULL;
	if (ret) {
		space->is_gone = true; /* closing un-arms; the restore fails, nobody runs */
		space_end(lazyd, space);
		return ret;
	}
	log_info("task %d (pid %d): %" PRIu64 " pages owed in %zu areas", space->image_pid,
		 space->host_pid, owed_count(&space->owed), space->owed.nr_areas);
	return 0;
}

/* The whole hello is here. */
static int serve(struct lazyd *lazyd, struct conn *conn)
{
	struct space *space;
	int ret;

	if (!lazyd->stats.start)
		lazyd->stats.start = clock_ns();
	if (!conn->hello.nr_ranges)
		return 0;
	space = space_new(lazyd, conn->uffd);
	if (!space)
		return log_ret(-ENOMEM, "task %d", conn->hello.pid);
	take_fd(&conn->uffd);
	space->image_pid = conn->hello.pid;
	space->is_arming = true;
	ret = arm(lazyd, space, conn);
	if (ret) {
		space->is_gone = true;
		space_end(lazyd, space);
		return ret;
	}
	conn->space = space;
	conn->patience = clock_ns() + WORKSET_PATIENCE_NS;
	lazyd->workset_next = 0; /* what is delivered already is passed over */
	return fill_armed(lazyd, conn);
}

static int advance(struct lazyd *lazyd, struct conn *conn)
{
	size_t head = sizeof(conn->hello);
	int ret;

	if (conn->got < head) {
		ret = receive(conn, (char *)&conn->hello + conn->got, head - conn->got);
		if (ret <= 0 || conn->got < head)
			return ret;
		ret = check_hello(&conn->hello);
		if (ret)
			return ret;
		conn->body_size = conn->hello.nr_ranges * sizeof(struct lazy_range) +
				  conn->hello.nr_eager * sizeof(struct lazy_eager);
		if (conn->body_size > PEEK_MAX && !conn->is_taken) {
			start_taking(conn);
			return 1;
		}
		conn->body = malloc(conn->body_size + 1);
		return conn->body ? 1 : -ENOMEM;
	}
	if (conn->got - head < conn->body_size)
		return receive(conn, conn->body + (conn->got - head),
			       conn->body_size - (conn->got - head));
	return 0;
}

/* The task came, was refused, or left without a word: in each case it is waited for no more. */
static void settle(struct lazyd *lazyd, struct conn *conn, int status)
{
	if (!status) {
		lazyd->nr_tasks = conn->hello.nr_tasks;
		lazyd->nr_hellos++;
		/* Its restore goes on, with threads to make: no bulk now, it will say when. */
		if (!lazyd->is_restored)
			lazyd->background_after = clock_ns() + RESTORE_PATIENCE_NS;
	} else {
		lazyd->nr_lost++;
	}
	if (status && status != -ECONNRESET)
		lazyd->error = lazyd->error ? lazyd->error : status;
	lazyd->cookie = cookie_of(conn->fd);
	lazyd->cookie_status = status;
	if (durable_commit(lazyd) && !status) {
		/* The space is ended when its process is; until then nobody runs on it. */
		status = log_ret(-ENOMEM, "task %d: its memory cannot be noted", conn->hello.pid);
		lazyd->error = lazyd->error ? lazyd->error : status;
		lazyd->nr_hellos--;
		lazyd->nr_lost++;
	}
	if (status == -ECONNRESET) {
		log_warn("a task left without a hello");
		return;
	}
	answer(lazyd, conn, status);
	if (!status && conn->hello.nr_ranges)
		remote_push(lazyd);
	prefetch_settle(lazyd);
}

/* Nothing more is to come from a task that waits for our answer, except its end. */
static void check_alive(struct lazyd *lazyd, struct conn *conn)
{
	struct pollfd over = { .fd = conn->fd, .events = POLLRDHUP };

	if (poll(&over, 1, 0) <= 0)
		return;
	epoll_ctl(lazyd->epoll_fd, EPOLL_CTL_DEL, conn->fd, NULL);
	conn->is_lost = true;
	lazyd->refill_due = true;
}

static void lose(struct lazyd *lazyd, struct conn *conn)
{
	struct space *space = conn->space;

	log_err("task %d: left before its eager pages had come", conn->hello.pid);
	conn->space = NULL;
	space->is_arming = false;
	space->is_gone = true;
	space_end(lazyd, space);
	settle(lazyd, conn, -ECONNRESET);
	conn_close(lazyd, conn);
}

void conn_refill(struct lazyd *lazyd)
{
	struct conn *conn, *next;

	if (!lazyd->refill_due && (!lazyd->refill_at || clock_ns() < lazyd->refill_at))
		return;
	lazyd->refill_due = false;
	lazyd->refill_at = 0;
	LIST_FOREACH_SAFE(conn, &lazyd->conns, link, next)
	{
		int ret;

		if (!conn->space)
			continue;
		if (conn->is_lost) {
			lose(lazyd, conn);
			continue;
		}
		ret = fill_armed(lazyd, conn);
		if (ret == -EINPROGRESS)
			continue;
		settle(lazyd, conn, ret);
		conn_close(lazyd, conn);
	}
}

void conn_ready(struct lazyd *lazyd, struct conn *conn)
{
	int ret;

	if (conn->space) {
		check_alive(lazyd, conn);
		return;
	}
	do {
		ret = advance(lazyd, conn);
	} while (ret > 0);
	if (!ret && (!conn->body || conn->got - sizeof(conn->hello) < conn->body_size))
		return; /* more will come */
	if (!ret)
		ret = check_body(conn);
	if (!ret)
		ret = serve(lazyd, conn);
	if (ret == -EINPROGRESS)
		return;
	settle(lazyd, conn, ret);
	conn_close(lazyd, conn);
}
