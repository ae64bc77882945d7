// SPDX-License-Identifier: GPL-2.0
/*
 * Plays restored tasks against a real lazy-pages daemon: makes an image whose every byte is known,
 * maps the memory, sends the userfaultfd, and then changes the address space from several threads
 * while pages arrive, comparing each byte with a model.
 *
 *   torture [-s seed] [-m MiB] [-p full|sparse|random] [-t threads] [-n steps] [-k kill-after-us]
 * [-K kills] [-L restart|hold|kill] [-r] [-q] [-S] [-M] [-R] [-D]
 *
 * Exit: 0 all right, 2 could not run, 3 a wrong byte, 4 (-R, or after a kill) all bytes were right
 * until the task was ended.
 *
 * -k: the daemon is killed (-S: its supervisor) after that time, -K times. With -L restart the task
 *     must not notice, with -L hold but wait; with -L kill it must be dead or right, and 0 says
 * that it was. -r: pages are at a source elsewhere: a page server on this host. -q: threads only
 * read, now and then; what the longest read took is said. -M: one thread moves memory to and fro
 * while another one forks. -R: a thread drops and removes parts of the shared segment. -D: threads
 * move memory and keep the place, unmap a part of where it is now, and fork.
 *
 * Each thread owns a slice of pages and a spare place as large, between which it moves them; so
 * what a page must hold is known without locks.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "image/image.h"
#include "lazy/control.h"
#include "lazy/lazyd.h"
#include "lazy/protocol.h"
#include "mem/pagemap_flags.h"
#include "pagemap.pb-c.h"
#include "transport/page_server.h"
#include "transport/token.h"
#include "util/log.h"

enum { PAGE = 4096, MOVE_PAGES = 512, IMAGE_PID = 100, THREADS_MAX = 16, BROKEN = 2, WRONG, ENDED };
#define BASE	 0x100000000000ull
#define SPARE	 0x110000000000ull
#define SHARED	 0x120000000000ull
#define MOVING	 0x130000000000ull
#define SHMID	 77
#define SHM_PAGE 1024

/* What a page holds: zeros, the image's page, a value the thread has put, or one of two. */
enum { ZERO = 0, OWN = 1ull << 62, EITHER = 1ull << 63 };
enum { NOT_MAPPED = ~0ull };

static uint64_t seed = 1, nr_pages, steps = 2000;
static const char *pattern = "random";
static int nr_threads = 4;
static bool is_moving, is_removing, is_remote, is_quiet, is_keeping;
static enum daemon_loss policy = DAEMON_LOSS_RESTART;
static atomic_bool is_over;
static char dir[] = "/tmp/lazy-torture-XXXXXX", source_dir[sizeof(dir) + 8];

static uint64_t mix(uint64_t x)
{
	x ^= x >> 31;
	x *= 0x9e3779b97f4a7c15ull;
	x ^= x >> 29;
	x *= 0xbf58476d1ce4e5b9ull;
	return x ^ x >> 32;
}

static void die(const char *what)
{
	perror(what);
	exit(BROKEN);
}

static void fill_page(uint64_t *words, uint64_t tag)
{
	for (int i = 0; i < PAGE / 8; i++)
		words[i] = tag ? mix(tag + (uint64_t)i * 8) : 0;
}

static bool page_is(const volatile uint64_t *words, uint64_t tag)
{
	for (int i = 0; i < PAGE / 8; i++) {
		if (words[i] != (tag ? mix(tag + (uint64_t)i * 8) : 0))
			return false;
	}
	return true;
}

static bool is_present(uint64_t page)
{
	if (!strcmp(pattern, "full"))
		return true;
	if (!strcmp(pattern, "sparse"))
		return page % 2 == 0;
	return mix(seed * 1000003 + page / (1 + mix(page / 64) % 32)) % 3;
}

/* pages: NULL where only the source has them. */
static void put_entries(struct image *map, struct image *pages, uint64_t base, uint64_t count)
{
	static uint64_t words[PAGE / 8];

	for (uint64_t page = 0; page < count;) {
		PagemapEntry entry = PAGEMAP_ENTRY__INIT;
		uint64_t first = page;

		if (!is_present(page)) {
			page++;
			continue;
		}
		for (; page < count && is_present(page); page++) {
			fill_page(words, base + page * PAGE);
			if (pages && image_write_raw(pages, words, PAGE))
				die("pages");
		}
		entry.vaddr = (base == SHARED ? 0 : base) + first * PAGE;
		entry.has_nr_pages = 1;
		entry.nr_pages = page - first;
		entry.compat_nr_pages = (uint32_t)(page - first);
		entry.has_flags = 1;
		entry.flags = pages ? PE_LAZY | PE_PRESENT : PE_LAZY;
		if (image_write(map, &entry.base))
			die("pagemap");
	}
}

static void make_image(struct image_dir *images, enum image_kind kind, uint64_t id,
		       uint32_t pages_id, bool has_pages)
{
	PagemapHead head = PAGEMAP_HEAD__INIT;
	struct image *map, *pages = NULL;

	head.pages_id = pages_id;
	if (image_create(images, kind, id, &map) ||
	    (has_pages && image_create(images, IMG_PAGES, pages_id, &pages)))
		die("image");
	if (image_write(map, &head.base))
		die("head");
	if (kind == IMG_SHMEM_PAGEMAP) {
		put_entries(map, pages, SHARED, SHM_PAGE);
	} else {
		put_entries(map, pages, BASE, nr_pages);
		put_entries(map, pages, MOVING, MOVE_PAGES);
	}
	if (image_close(&map) || (pages && image_close(&pages)))
		die("close");
}

static void make_set(const char *path, bool has_pages)
{
	struct image_dir *images;
	struct token token;
	char command[160];

	if (image_dir_open(path, -1, &images))
		die("directory");
	make_image(images, IMG_PAGEMAP, IMAGE_PID, 1, has_pages);
	make_image(images, IMG_SHMEM_PAGEMAP, SHMID, 2, has_pages);
	if (is_remote && has_pages) {
		snprintf(command, sizeof(command), "cp %s/lazy-source.img %s", source_dir, dir);
		if (token_create(images, &token) || system(command))
			die("token");
	}
	image_dir_close(images);
}

static void make_images(void)
{
	if (!mkdtemp(dir))
		die("directory");
	snprintf(source_dir, sizeof(source_dir), "%s/source", dir);
	if (is_remote && mkdir(source_dir, 0700))
		die("directory of the source");
	make_set(dir, !is_remote);
	if (is_remote)
		make_set(source_dir, true);
}

/* ---- the task ---- */

static void wrong(const char *what, int thread, uint64_t addr, uint64_t tag)
{
	const uint64_t *words = (const uint64_t *)addr;

	fprintf(stderr, "WRONG BYTE: %s: thread %d pid %d: 0x%lx should hold 0x%lx, holds 0x%lx\n",
		what, thread, getpid(), addr, tag ? mix(tag) : 0, words[0]);
	_exit(WRONG);
}

struct slice {
	int number;
	uint64_t pages;
	uint64_t place[2];  /* addresses of the two places */
	uint64_t *tags[2];  /* what each page of a place holds; NOT_MAPPED */
	uint64_t *maybe[2]; /* EITHER: may also be zero */
	uint64_t random;
	uint64_t counter;
	pthread_t thread;
};

static uint64_t roll(struct slice *slice, uint64_t limit)
{
	slice->random = slice->random * 6364136223846793005ull + 1442695040888963407ull;
	return (slice->random >> 33) % limit;
}

static void verify_page(struct slice *slice, int side, uint64_t page, const char *what)
{
	uint64_t addr = slice->place[side] + page * PAGE;
	uint64_t tag = slice->tags[side][page];

	if (tag == (uint64_t)NOT_MAPPED)
		return;
	if (page_is((void *)addr, tag))
		return;
	if (slice->maybe[side][page] && page_is((void *)addr, 0)) {
		slice->tags[side][page] = 0;
		return;
	}
	wrong(what, slice->number, addr, tag);
}

static void verify_all(struct slice *slice, const char *what)
{
	for (int side = 0; side < 2; side++) {
		for (uint64_t page = 0; page < slice->pages; page++)
			verify_page(slice, side, page, what);
	}
}

static bool all_mapped(struct slice *slice, int side, uint64_t page, uint64_t count)
{
	for (uint64_t i = page; i < page + count; i++) {
		if (slice->tags[side][i] == (uint64_t)NOT_MAPPED)
			return false;
	}
	return true;
}

static void set_tags(struct slice *slice, int side, uint64_t page, uint64_t count, uint64_t tag)
{
	for (uint64_t i = page; i < page + count; i++) {
		slice->tags[side][i] = tag;
		slice->maybe[side][i] = 0;
	}
}

static void write_own(struct slice *slice, int side, uint64_t page)
{
	uint64_t tag = OWN | (uint64_t)slice->number << 40 | ++slice->counter << 13;

	fill_page((void *)(slice->place[side] + page * PAGE), tag);
	set_tags(slice, side, page, 1, tag);
}

static void map_fresh(struct slice *slice, int side, uint64_t page, uint64_t count)
{
	void *at = (void *)(slice->place[side] + page * PAGE);

	if (mmap(at, count * PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) != at)
		die("mmap");
	set_tags(slice, side, page, count, ZERO);
}

static void unmap(struct slice *slice, int side, uint64_t page, uint64_t count)
{
	if (munmap((void *)(slice->place[side] + page * PAGE), count * PAGE))
		die("munmap");
	set_tags(slice, side, page, count, (uint64_t)NOT_MAPPED);
}

/* mremap works on one area: go by runs the kernel accepts, and leave what it refuses. */
static void move(struct slice *slice, int side, uint64_t page, uint64_t count, uint64_t to,
		 bool keep)
{
	void *from = (void *)(slice->place[side] + page * PAGE);
	void *target = (void *)(slice->place[!side] + to * PAGE);
	int flags = MREMAP_MAYMOVE | MREMAP_FIXED | (keep ? MREMAP_DONTUNMAP : 0);

	if (mremap(from, count * PAGE, count * PAGE, flags, target) != target) {
		/* Refused half way: the target is unmapped by then, and areas may have moved. */
		map_fresh(slice, !side, to, count);
		map_fresh(slice, side, page, count);
		return;
	}
	memcpy(&slice->tags[!side][to], &slice->tags[side][page], count * 8);
	memcpy(&slice->maybe[!side][to], &slice->maybe[side][page], count * 8);
	set_tags(slice, side, page, count, keep ? ZERO : (uint64_t)NOT_MAPPED);
}

static void read_by_syscall(struct slice *slice, int side, uint64_t page)
{
	uint64_t addr = slice->place[side] + page * PAGE, words[PAGE / 8];
	int fds[2];

	if (slice->tags[side][page] == (uint64_t)NOT_MAPPED || pipe(fds))
		return;
	if (write(fds[1], (void *)addr, PAGE) != PAGE || read(fds[0], words, PAGE) != PAGE)
		die("pipe");
	close(fds[0]);
	close(fds[1]);
	if (!page_is(words, slice->tags[side][page]) &&
	    !(slice->maybe[side][page] && page_is(words, 0)))
		wrong("write(2)", slice->number, addr, slice->tags[side][page]);
}

static void check_child(struct slice *slice)
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return;
	if (pid == 0) {
		for (int i = 0; i < 40; i++)
			verify_page(slice, (int)roll(slice, 2), roll(slice, slice->pages), "child");
		if (roll(slice, 4) == 0)
			verify_all(slice, "child, all");
		_exit(0);
	}
	if (waitpid(pid, &status, 0) != pid)
		die("wait");
	if (WIFEXITED(status) && WEXITSTATUS(status) == WRONG)
		_exit(WRONG);
}

static void wipe_on_fork(struct slice *slice, int side, uint64_t page)
{
	void *at = (void *)(slice->place[side] + page * PAGE);
	int status;
	pid_t pid;

	if (slice->tags[side][page] == (uint64_t)NOT_MAPPED || madvise(at, PAGE, 18))
		return;
	pid = fork();
	if (pid == 0)
		_exit(page_is(at, 0) ? 0 : WRONG);
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		die("wait");
	if (WIFEXITED(status) && WEXITSTATUS(status) == WRONG)
		wrong("WIPEONFORK", slice->number, (uint64_t)at, 0);
	madvise(at, PAGE, 19);
}

static void step(struct slice *slice)
{
	int side = (int)roll(slice, 2);
	uint64_t page = roll(slice, slice->pages),
		 count = 1 + roll(slice, roll(slice, 4) ? 8 : 200);
	uint64_t to = roll(slice, slice->pages);
	void *at;

	if (page + count > slice->pages)
		count = slice->pages - page;
	if (to + count > slice->pages)
		to = slice->pages - count;
	at = (void *)(slice->place[side] + page * PAGE);
	switch (roll(slice, 24)) {
	case 0 ... 7:
		verify_page(slice, side, page, "read");
		break;
	case 8 ... 9:
		read_by_syscall(slice, side, page);
		break;
	case 10 ... 11:
		if (all_mapped(slice, side, page, 1))
			write_own(slice, side, page);
		break;
	case 12 ... 13:
		if (all_mapped(slice, side, page, count) &&
		    !madvise(at, count * PAGE, MADV_DONTNEED))
			set_tags(slice, side, page, count, ZERO);
		break;
	case 14:
		if (all_mapped(slice, side, page, count) && !madvise(at, count * PAGE, MADV_FREE)) {
			for (uint64_t i = page; i < page + count; i++)
				slice->maybe[side][i] = 1;
		}
		break;
	case 15:
		unmap(slice, side, page, count);
		break;
	case 16:
		map_fresh(slice, side, page, count);
		break;
	case 17 ... 19:
		if (all_mapped(slice, side, page, count))
			move(slice, side, page, count, to, false);
		break;
	case 20:
		if (all_mapped(slice, side, page, count))
			move(slice, side, page, count, to, true);
		break;
	case 21:
		if (all_mapped(slice, side, page, count)) {
			mprotect(at, count * PAGE, PROT_READ);
			verify_page(slice, side, page, "read only");
			mprotect(at, count * PAGE, PROT_READ | PROT_WRITE);
		}
		break;
	case 22:
		if (roll(slice, 3) == 0)
			check_child(slice);
		break;
	case 23:
		if (roll(slice, 4) == 0)
			wipe_on_fork(slice, side, page);
		break;
	}
}

static uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* How long is nobody there who serves? */
static void read_now_and_then(struct slice *slice)
{
	uint64_t longest = 0;

	for (uint64_t i = 0; i < steps; i++) {
		uint64_t start = now_us(), took;

		verify_page(slice, 0, roll(slice, slice->pages), "read");
		took = now_us() - start;
		longest = took > longest ? took : longest;
		usleep(20);
	}
	fprintf(stderr, "longest read: %lu us\n", longest);
}

/*
 * MREMAP_DONTUNMAP leaves zeros. A child that has those, and not the first of the pages moved, is
 * not to get the image's bytes there: it looks as if it had been forked before the move.
 */
static void keep_places(struct slice *slice)
{
	enum { PAGES = 4 };

	for (uint64_t page = 0; page + PAGES <= slice->pages; page += PAGES) {
		int status;
		pid_t pid;

		move(slice, 0, page, PAGES, page, true);
		unmap(slice, 1, page, PAGES / 2);
		pid = fork();
		for (int i = PAGES - 1; pid == 0 && i >= 0; i--) {
			verify_page(slice, 0, page + (uint64_t)i, "kept place, child");
			verify_page(slice, 1, page + (uint64_t)i, "moved, child");
		}
		if (pid == 0)
			_exit(0);
		if (pid < 0 || waitpid(pid, &status, 0) != pid)
			die("wait");
		if (WIFEXITED(status) && WEXITSTATUS(status) == WRONG)
			_exit(WRONG);
	}
}

static void *run_slice(void *arg)
{
	struct slice *slice = arg;

	if (is_quiet)
		read_now_and_then(slice);
	if (is_keeping)
		keep_places(slice);
	for (uint64_t i = 0; i < steps && !is_quiet; i++)
		step(slice);
	verify_all(slice, "at the end");
	return NULL;
}

/* One segment at two places: what one place drops stays, what it removes is gone from both. */
static void *run_shared(void *arg)
{
	static bool is_hole[SHM_PAGE];
	volatile uint64_t *views[2] = { (void *)SHARED, (void *)(SHARED + 2 * SHM_PAGE * PAGE) };
	uint64_t random = seed;

	for (int i = 0; i < SHM_PAGE * 4; i++) {
		volatile uint64_t *at;
		uint64_t page, tag;

		random = random * 6364136223846793005ull + 1442695040888963407ull;
		page = (random >> 33) % SHM_PAGE;
		at = views[i & 1] + page * PAGE / 8;
		if (is_removing && random >> 58 == 0)
			madvise((void *)at, (page + 8 < SHM_PAGE ? 8 : 1) * PAGE, MADV_DONTNEED);
		if (is_removing && random >> 58 == 1 && !madvise((void *)at, PAGE, MADV_REMOVE))
			is_hole[page] = true;
		tag = is_present(page) && !is_hole[page] ? SHARED + page * PAGE : 0;
		if (!page_is(at, tag))
			wrong("shared", -1, (uint64_t)at, tag);
	}
	return NULL;
}

/* Moves the first pages of a range of their own to and fro, without an end. */
static void *run_mover(void *arg)
{
	void *places[2] = { (void *)MOVING, (void *)(MOVING + 4096 * PAGE) };

	for (int i = 0; !atomic_load(&is_over); i++) {
		uint64_t len = MOVE_PAGES * PAGE;

		if (mremap(places[i & 1], len, len, MREMAP_MAYMOVE | MREMAP_FIXED,
			   places[!(i & 1)]) == MAP_FAILED)
			die("mremap");
		usleep((useconds_t)(mix((uint64_t)i) % 200)); /* or no copy ever succeeds */
	}
	return NULL;
}

/* Children born while another thread moves memory have it at one place or at the other. */
static void check_moved(void)
{
	unsigned char there;

	for (int place = 0; place < 2; place++) {
		uint64_t start = MOVING + (uint64_t)place * 4096 * PAGE;

		if (mincore((void *)start, PAGE, &there))
			continue;
		for (uint64_t page = 0; page < MOVE_PAGES; page++) {
			uint64_t tag = MOVING + page * PAGE;

			if (!page_is((void *)(start + page * PAGE), is_present(page) ? tag : 0))
				wrong("moved by another thread", -1, start + page * PAGE, tag);
		}
		_exit(0);
	}
	_exit(0);
}

static void *run_forker(void *arg)
{
	while (!atomic_load(&is_over)) {
		int status;
		pid_t pid = fork();

		if (pid == 0)
			check_moved();
		if (pid < 0 || waitpid(pid, &status, 0) != pid)
			die("fork");
		if (WIFEXITED(status) && WEXITSTATUS(status) == WRONG)
			_exit(WRONG);
	}
	return NULL;
}

static int say_hello(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	struct lazy_range ranges[] = {
		{ .start = BASE,
		  .end = BASE + nr_pages * PAGE,
		  .kind = LAZY_RANGE_ANON,
		  .page_size = PAGE },
		{ .start = SHARED,
		  .end = SHARED + SHM_PAGE * PAGE,
		  .kind = LAZY_RANGE_SHMEM,
		  .shmid = SHMID,
		  .page_size = PAGE },
		{ .start = SHARED + 2 * SHM_PAGE * PAGE,
		  .end = SHARED + 3 * SHM_PAGE * PAGE,
		  .kind = LAZY_RANGE_SHMEM,
		  .shmid = SHMID,
		  .page_size = PAGE },
		{ .start = MOVING,
		  .end = MOVING + MOVE_PAGES * PAGE,
		  .kind = LAZY_RANGE_ANON,
		  .page_size = PAGE },
	};
	struct lazy_eager eager = { .start = BASE + 2 * PAGE, .end = BASE + 5 * PAGE };
	struct lazy_hello hello = { .magic = LAZY_HELLO_MAGIC,
				    .version = LAZY_PROTOCOL_VERSION,
				    .pid = IMAGE_PID,
				    .nr_ranges = 4,
				    .nr_eager = 1,
				    .nr_tasks = 1 };
	char control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec parts[] = { { &hello, sizeof(hello) },
				 { ranges, sizeof(ranges) },
				 { &eager, sizeof(eager) } };
	struct msghdr msg = { .msg_iov = parts,
			      .msg_iovlen = 3,
			      .msg_control = control,
			      .msg_controllen = sizeof(control) };
	struct cmsghdr *part = CMSG_FIRSTHDR(&msg);
	int uffd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct lazy_ack ack;

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/%s", dir, LAZY_SOCKET_NAME);
	part->cmsg_level = SOL_SOCKET;
	part->cmsg_type = SCM_RIGHTS;
	part->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(part), &uffd, sizeof(int));
	if (uffd < 0 || connect(fd, (void *)&addr, sizeof(addr)) || sendmsg(fd, &msg, 0) < 0)
		return -errno;
	if (recv(fd, &ack, sizeof(ack), MSG_WAITALL) != sizeof(ack))
		return -ECONNRESET;
	close(uffd);
	close(fd);
	return ack.status;
}

static void map_task(void)
{
	int shm = memfd_create("segment", MFD_CLOEXEC);

	if (mmap((void *)BASE, nr_pages * PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) != (void *)BASE)
		die("mmap");
	if (mmap((void *)MOVING, MOVE_PAGES * PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) != (void *)MOVING)
		die("mmap");
	if (ftruncate(shm, SHM_PAGE * PAGE) ||
	    mmap((void *)SHARED, SHM_PAGE * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		 shm, 0) == MAP_FAILED ||
	    mmap((void *)(SHARED + 2 * SHM_PAGE * PAGE), SHM_PAGE * PAGE, PROT_READ | PROT_WRITE,
		 MAP_SHARED | MAP_FIXED, shm, 0) == MAP_FAILED)
		die("segment");
	close(shm);
}

static int run_task(void)
{
	static struct slice slices[THREADS_MAX];
	pthread_t shared, mover, forker;
	int ret;

	map_task();
	ret = say_hello();
	if (ret) {
		fprintf(stderr, "hello: %s\n", strerror(-ret));
		if (policy != DAEMON_LOSS_KILL)
			return ENDED;
		return ret == -ECONNRESET || ret == -ECONNREFUSED || ret == -ENOENT ? 0 : BROKEN;
	}
	/* As restore does: that it ends with pages owed is its own will, and the source may go. */
	if (!chdir(dir))
		control_say_restored();
	for (int i = 0; i < nr_threads; i++) {
		struct slice *slice = &slices[i];

		slice->number = i;
		slice->pages = nr_pages / (uint64_t)nr_threads;
		slice->random = seed * 7919 + (uint64_t)i;
		slice->place[0] = BASE + (uint64_t)i * slice->pages * PAGE;
		slice->place[1] = SPARE + (uint64_t)i * slice->pages * PAGE;
		for (int side = 0; side < 2; side++) {
			slice->tags[side] = calloc(slice->pages, 8);
			slice->maybe[side] = calloc(slice->pages, 8);
		}
		for (uint64_t page = 0; page < slice->pages; page++) {
			uint64_t number = (uint64_t)i * slice->pages + page;

			slice->tags[0][page] = is_present(number) ? BASE + number * PAGE : 0;
		}
		map_fresh(slice, 1, 0, slice->pages);
	}
	pthread_create(&shared, NULL, run_shared, NULL);
	if (is_moving) {
		pthread_create(&mover, NULL, run_mover, NULL);
		pthread_create(&forker, NULL, run_forker, NULL);
	}
	for (int i = 0; i < nr_threads; i++)
		pthread_create(&slices[i].thread, NULL, run_slice, &slices[i]);
	for (int i = 0; i < nr_threads; i++)
		pthread_join(slices[i].thread, NULL);
	pthread_join(shared, NULL);
	if (is_moving) {
		atomic_store(&is_over, true);
		pthread_join(mover, NULL);
		pthread_join(forker, NULL);
	}
	return 0;
}

/* ---- the conductor ---- */

static pid_t start_server(int (*run)(const struct options *opts), struct options *opts)
{
	int fds[2];
	pid_t pid;

	if (pipe(fds))
		die("pipe");
	pid = fork();
	if (pid == 0) {
		close(fds[0]);
		opts->status_fd = fds[1];
		log_setup(-1, getenv("VERBOSE") ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR, false);
		_exit(run(opts) ? 1 : 0);
	}
	close(fds[1]);
	if (read(fds[0], &(char){ 0 }, 1) != 1)
		die("daemon");
	close(fds[0]);
	return pid;
}

static pid_t start_daemon(uint16_t port)
{
	struct options opts = { .images_dir_fd = -1,
				.work_dir_fd = -1,
				.images_dir = dir,
				.on_daemon_loss = policy,
				.page_server = is_remote,
				.ps_socket = -1,
				.port = port,
				.source_timeout = 20,
				.verbosity = LOG_LEVEL_INFO };

	return start_server(lazyd_run, &opts);
}

static pid_t start_source(uint16_t port)
{
	struct options opts = { .images_dir_fd = -1,
				.work_dir_fd = -1,
				.images_dir = source_dir,
				.lazy_pages = true,
				.ps_socket = -1,
				.port = port,
				.verbosity = LOG_LEVEL_INFO };

	return start_server(page_server_run, &opts);
}

static uint16_t free_port(void)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	socklen_t len = sizeof(addr);

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (void *)&addr, len) || getsockname(fd, (void *)&addr, &len))
		die("port");
	close(fd);
	return ntohs(addr.sin_port);
}

static pid_t only_child(pid_t pid)
{
	char path[64];
	int child = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	file = fopen(path, "r");
	if (!file || fscanf(file, "%d", &child) != 1)
		child = 0;
	if (file)
		fclose(file);
	return child;
}

/* As `criu-lazy lazy-pages` does where a daemon has died. */
static void end_hold(void)
{
	int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	usleep(100000);
	if (dir_fd < 0)
		die("directory");
	if (control_resume(dir_fd) && getenv("VERBOSE"))
		fprintf(stderr, "nothing is held\n"); /* all was there when it was killed */
	close(dir_fd);
}

/* Each daemon that comes is killed in its turn, at a random moment of its life. */
static void kill_daemons(pid_t supervisor, bool kill_supervisor, long after, int kills)
{
	pid_t last = 0;

	for (int i = 0; i < kills; i++) {
		pid_t pid;

		usleep((useconds_t)(i ? mix(seed * 31 + (uint64_t)i) % (uint64_t)(after + 1)
				      : (uint64_t)after));
		pid = kill_supervisor ? supervisor : only_child(supervisor);
		if (pid <= 0 || pid == last)
			continue;
		kill(pid, SIGKILL);
		last = pid;
		if (policy == DAEMON_LOSS_HOLD && !kill_supervisor)
			end_hold();
	}
}

static void remove_dir(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	if (system(command))
		fprintf(stderr, "%s stays\n", dir);
}

int main(int argc, char **argv)
{
	uint64_t mib = 16;
	long kill_after = -1;
	bool kill_supervisor = false, was_killed;
	int opt, status, code, kills = 1;
	pid_t supervisor, source = 0, task;
	uint16_t port = 0;

	while ((opt = getopt(argc, argv, "s:m:p:t:n:k:K:L:rqSMRD")) != -1) {
		switch (opt) {
		case 's':
			seed = strtoull(optarg, NULL, 0);
			break;
		case 'm':
			mib = strtoull(optarg, NULL, 0);
			break;
		case 'p':
			pattern = optarg;
			break;
		case 't':
			nr_threads = atoi(optarg);
			break;
		case 'n':
			steps = strtoull(optarg, NULL, 0);
			break;
		case 'k':
			kill_after = atol(optarg);
			break;
		case 'K':
			kills = atoi(optarg);
			break;
		case 'L':
			policy = !strcmp(optarg, "kill")   ? DAEMON_LOSS_KILL
				 : !strcmp(optarg, "hold") ? DAEMON_LOSS_HOLD
							   : DAEMON_LOSS_RESTART;
			break;
		case 'r':
			is_remote = true;
			break;
		case 'q':
			is_quiet = true;
			break;
		case 'M':
			is_moving = true;
			break;
		case 'D':
			is_keeping = true;
			break;
		case 'R':
			is_removing = true;
			break;
		case 'S':
			kill_supervisor = true;
			break;
		default:
			return BROKEN;
		}
	}
	nr_pages = (mib << 20) / PAGE;
	make_images();
	if (is_remote) {
		port = free_port();
		source = start_source(port);
	}
	supervisor = start_daemon(port);
	task = fork();
	if (task == 0)
		_exit(run_task());
	if (kill_after >= 0)
		kill_daemons(supervisor, kill_supervisor, kill_after, kills);
	if (waitpid(task, &status, 0) != task)
		die("wait");
	was_killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
	code = WIFEXITED(status) ? WEXITSTATUS(status) : BROKEN;
	if (kill_after >= 0 && was_killed)
		code = policy != DAEMON_LOSS_KILL && !kill_supervisor ? ENDED : 0;
	if (WIFSIGNALED(status) && kill_after < 0)
		fprintf(stderr, "the task was killed by signal %d\n", WTERMSIG(status));
	if (waitpid(supervisor, &status, 0) != supervisor || (status && kill_after < 0)) {
		fprintf(stderr, "the daemon ended with 0x%x\n", status);
		code = code ? code : BROKEN;
	}
	if (source && code) /* it waits for its client */
		kill(source, SIGTERM);
	if (source && (waitpid(source, &status, 0) != source || (status && !code))) {
		fprintf(stderr, "the source ended with 0x%x\n", status);
		code = code ? code : BROKEN;
	}
	if (getenv("VERBOSE")) {
		char command[128];

		snprintf(command, sizeof(command), "cat %s/lazy-pages-stats.json", dir);
		if (system(command))
			perror(command);
	}
	remove_dir();
	/* What the daemon has said of it is on standard error. */
	return code == BROKEN && is_removing && was_killed ? ENDED : code;
}
