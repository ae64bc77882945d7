// SPDX-License-Identifier: GPL-2.0
/*
 * A restored task says hello (lazy/protocol.h). The other end is code of ours inside a task
 * that may be anybody's, so every count and address is checked, nothing blocks, and a connection
 * that talks nonsense is answered with an error and closed.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lazy/engine.h"
#include "lazy/remote.h"
#include "lazy/uffd.h"
#include "util/log.h"
#include "util/scope.h"

#define TASK_TOP     (1ull << 56)
#define GAP_MIN	     (64ull << 20)
#define HUGE_TOP     (1ull << 30)
#define SEGMENT_MAX  (1ull << 46)
#define KNOWN_FLAGS  (LAZY_RANGE_DONTFORK | LAZY_RANGE_WIPEONFORK | LAZY_RANGE_HUGEPAGE)
#define EAGER_TRY_NS 2000000000ull
/* How long the background waits for a restore to say that its tasks run. */
#define RESTORE_PATIENCE_NS 30000000ull

/* Of the working set before the task runs, of 64 pages or 32 runs each. */
enum { WORKSET_PIECES = 128 };
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
	bool is_lost;	     /* while it waited */
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

static bool accept_one(struct lazyd *lazyd)
{
	int fd = accept4(lazyd->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct conn *conn = fd < 0 ? NULL : calloc(1, sizeof(*conn));

	if (fd < 0)
		return false;
	lazyd->quiet_since = 0;
	if (!conn) {
		close(fd);
		lazyd->nr_lost++;
		return true;
	}
	conn->fd = fd;
	conn->uffd = -1;
	LIST_INSERT_HEAD(&lazyd->conns, conn, link);
	if (engine_watch(lazyd, fd, &conn->watch, WATCH_CONN, conn)) {
		lazyd->nr_lost++;
		conn_close(lazyd, conn);
	}
	return true;
}

/* All that wait: with none accepted and none waiting, nobody is on the way (engine.c). */
void conn_accept(struct lazyd *lazyd)
{
	while (accept_one(lazyd))
		;
}

void conn_close(struct lazyd *lazyd, struct conn *conn)
{
	LIST_REMOVE(conn, link);
	close(conn->fd);
	if (conn->uffd >= 0)
		close(conn->uffd);
	free(conn->body);
	free(conn);
}

static void answer(struct lazyd *lazyd, struct conn *conn, int status)
{
	struct lazy_ack ack = { .magic = LAZY_HELLO_MAGIC, .status = status };

	if (send(conn->fd, &ack, sizeof(ack), MSG_NOSIGNAL | MSG_DONTWAIT) != sizeof(ack))
		log_warn("task %d: left before the answer", conn->hello.pid);
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
	ssize_t got = recvmsg(conn->fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);

	if (got < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	take_control(conn, &msg);
	if (!got)
		return -ECONNRESET;
	conn->got += (size_t)got;
	return 1;
}

static int open_source(struct lazyd *lazyd, enum page_object object, uint64_t id,
		       struct lazy_source **out)
{
	struct source_ref *ref;
	int ret;

	SLIST_FOREACH (ref, &lazyd->sources, link) {
		if (lazy_source_is(ref->source, object, id)) {
			*out = ref->source;
			return 0;
		}
	}
	ref = calloc(1, sizeof(*ref));
	if (!ref)
		return -ENOMEM;
	ret = lazy_source_open(lazyd->images, object, id, &ref->source);
	if (!ret) {
		ret = remote_add(lazyd, ref->source);
		if (ret)
			lazy_source_close(ref->source);
	}
	if (ret) {
		free(ref);
		return ret;
	}
	SLIST_INSERT_HEAD(&lazyd->sources, ref, link);
	*out = ref->source;
	return 0;
}

static int open_segment(struct lazyd *lazyd, uint64_t shmid, struct segment **out)
{
	struct lazy_source *source;
	struct segment *segment;
	int ret;

	SLIST_FOREACH (segment, &lazyd->segments, link) {
		if (segment->shmid == shmid) {
			*out = segment;
			return 0;
		}
	}
	ret = open_source(lazyd, PAGE_OBJECT_SHMEM, shmid, &source);
	if (ret)
		return ret;
	segment = calloc(1, sizeof(*segment));
	if (!segment)
		return -ENOMEM;
	segment->shmid = shmid;
	segment->bits = owed_bits_new(0, lazy_source_end(source), LAZY_PAGE, source);
	if (!segment->bits) {
		free(segment);
		return -ENOMEM;
	}
	lazyd->stats.announced +=
		lazy_source_owe(source, 0, lazy_source_end(source), segment->bits);
	SLIST_INSERT_HEAD(&lazyd->segments, segment, link);
	*out = segment;
	return 0;
}

static int arm_range(struct space *space, const struct lazy_range *range)
{
	int ret = uffd_register(space->uffd, range->start, range->end);

	if (ret)
		return log_ret(ret, "task %d: register 0x%" PRIx64 "-0x%" PRIx64, space->image_pid,
			       range->start, range->end);
	return 0;
}

static int arm_shmem(struct lazyd *lazyd, struct space *space, const struct lazy_range *range)
{
	struct owed_area area = { .start = range->start,
				  .end = range->end,
				  .image = range->pgoff,
				  .page_size = LAZY_PAGE,
				  .kind = range->kind,
				  .flags = range->flags };
	struct segment *segment;
	int ret = open_segment(lazyd, range->shmid, &segment);

	if (ret)
		return ret;
	area.bits = segment->bits;
	if (!segment->bits->nr_owed)
		return 0;
	ret = owed_add(&space->owed, &area);
	return ret ? ret : arm_range(space, range);
}

/* One stretch of a range from its first to its last page in the image. */
static int arm_span(struct lazyd *lazyd, struct space *space, const struct lazy_range *range,
		    struct lazy_source *source, uint64_t start, uint64_t end)
{
	struct owed_area area = { .start = start,
				  .end = end,
				  .image = start,
				  .page_size = range->page_size,
				  .kind = range->kind,
				  .flags = range->flags };
	int ret;

	area.bits = owed_bits_new(start, end - start, range->page_size, source);
	if (!area.bits)
		return -ENOMEM;
	lazyd->stats.announced += lazy_source_owe(source, start, end - start, area.bits) *
				  (range->page_size / LAZY_PAGE);
	ret = owed_add(&space->owed, &area);
	owed_bits_put(area.bits);
	return ret;
}

/* The whole of a range that owes something is registered; what is between stretches owes nothing.
 */
static int arm_gap(struct space *space, const struct lazy_range *range, uint64_t start,
		   uint64_t end)
{
	const struct owed_area area = { .start = start,
					.end = end,
					.image = start,
					.page_size = range->page_size,
					.kind = range->kind,
					.flags = range->flags };

	return start < end ? owed_add(&space->owed, &area) : 0;
}

/*
 * Only a range that owes something is registered: elsewhere the kernel's own zeros are right, and
 * faster. It is registered as a whole, for the kernel keeps one area of memory only where that is
 * the same, and mremap(2) and realloc(3) fail across two. Large gaps (reserved heaps, shadow
 * memory) have no bits; there are at most 64, for each costs an area.
 */
static int arm_private(struct lazyd *lazyd, struct space *space, const struct lazy_range *range,
		       struct lazy_source *source)
{
	const struct page_source *pages = lazy_source_pages(source);
	const struct page_extent *extent = pages ? page_source_find(pages, range->start) : NULL;
	const struct page_extent *last;
	uint64_t gap = (range->end - range->start) / 64, mask = range->page_size - 1;
	uint64_t start = 0, end = 0, armed = range->start;
	int ret = 0;

	if (gap < GAP_MIN)
		gap = GAP_MIN;
	last = pages ? page_source_extents(pages) + page_source_extent_count(pages) : NULL;
	for (; !ret && extent && extent < last && extent->vaddr < range->end; extent++) {
		uint64_t from = extent->vaddr > range->start ? extent->vaddr : range->start;
		uint64_t to = extent->vaddr + extent->len;

		from &= ~mask;
		to = to < range->end ? (to + mask) & ~mask : range->end;
		if (end && from > end + gap) {
			ret = arm_span(lazyd, space, range, source, start, end);
			armed = end;
			end = 0;
		}
		if (!end) {
			ret = ret ? ret : arm_gap(space, range, armed, from);
			start = from;
		}
		if (to > end)
			end = to;
	}
	if (ret || !end)
		return ret;
	ret = arm_span(lazyd, space, range, source, start, end);
	if (!ret)
		ret = arm_gap(space, range, end, range->end);
	return ret ? ret : arm_range(space, range);
}

static int arm_ranges(struct lazyd *lazyd, struct space *space, const struct conn *conn)
{
	const struct lazy_range *ranges = conn_ranges(conn);
	struct lazy_source *source;
	int ret = open_source(lazyd, PAGE_OBJECT_TASK, (uint64_t)conn->hello.pid, &source);

	for (uint32_t i = 0; !ret && i < conn->hello.nr_ranges; i++) {
		if (ranges[i].kind == LAZY_RANGE_SHMEM)
			ret = arm_shmem(lazyd, space, &ranges[i]);
		else
			ret = arm_private(lazyd, space, &ranges[i], source);
	}
	return ret;
}

/* -EINPROGRESS: some are elsewhere; all of those have been asked for. */
static int fill_all_eager(struct lazyd *lazyd, struct space *space, const struct conn *conn)
{
	const struct lazy_eager *eager = conn_eager(conn);
	int pending = 0;

	for (uint32_t i = 0; i < conn->hello.nr_eager; i++) {
		int ret = fill_eager(lazyd, space, eager[i].start, eager[i].end);

		if (ret == -EAGAIN && lazy_now() < conn->deadline) {
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

static int arm(struct lazyd *lazyd, struct space *space, const struct conn *conn)
{
	int ret;

	fcntl(space->uffd, F_SETFL, O_NONBLOCK);
	ret = uffd_enable(space->uffd, lazyd->features);
	if (ret)
		return log_ret(ret, "task %d: userfaultfd handshake, features 0x%" PRIx64,
			       conn->hello.pid, lazyd->features);
	space_identify(lazyd, space, conn->pid ? conn->pid : conn->hello.host_pid_hint);
	if (space->pidfd < 0)
		log_warn("task %d: its process is not known here", conn->hello.pid);
	space->slot = journal_add(lazyd->journal, space->uffd, space->host_pid, space->pidfd);
	if (space->slot < 0)
		return log_ret(-ENOSPC, "task %d: more than %d address spaces", conn->hello.pid,
			       JOURNAL_SLOTS);
	ret = arm_ranges(lazyd, space, conn);
	if (!ret && space->is_gone)
		ret = -ESRCH;
	if (!ret)
		ret = engine_watch(lazyd, space->uffd, &space->watch, WATCH_SPACE, space);
	return ret;
}

/* The eager pages, of which some may be under way still: -EINPROGRESS. */
static int fill_armed(struct lazyd *lazyd, struct conn *conn)
{
	struct space *space = conn->space;
	int ret;

	conn->deadline = lazy_now() + EAGER_TRY_NS;
	ret = fill_all_eager(lazyd, space, conn);
	if (!ret && space->is_gone)
		ret = -ESRCH;
	if (ret == -EINPROGRESS)
		return ret;
	space->is_arming = false;
	conn->space = NULL;
	if (ret) {
		space->is_gone = true; /* closing un-arms; the restore fails, nobody runs */
		space_end(lazyd, space);
		return ret;
	}
	/* A page brought now costs 1.5 us, a fault that waits for it 10 or more. */
	for (int i = 0; i < WORKSET_PIECES && fill_workset(lazyd); i++)
		;
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
		lazyd->stats.start = lazy_now();
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
			lazyd->background_after = lazy_now() + RESTORE_PATIENCE_NS;
	} else {
		lazyd->nr_lost++;
	}
	if (status == -ECONNRESET) {
		log_warn("a task left without a hello");
		return;
	}
	if (status)
		lazyd->error = lazyd->error ? lazyd->error : status;
	answer(lazyd, conn, status);
	if (!status && conn->hello.nr_ranges)
		remote_push(lazyd);
}

/* Nothing more is to come from a task that waits for our answer, except its end. */
static void check_alive(struct lazyd *lazyd, struct conn *conn)
{
	char byte;

	if (recv(conn->fd, &byte, 1, MSG_DONTWAIT) < 0 && (errno == EAGAIN || errno == EINTR))
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

	if (!lazyd->refill_due)
		return;
	lazyd->refill_due = false;
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
