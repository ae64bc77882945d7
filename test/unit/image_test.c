// SPDX-License-Identifier: GPL-2.0
/* Image files: framing byte by byte, round trips, and input that nobody should trust. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "image/image.h"
#include "image/kinds.h"
#include "pagemap.pb-c.h"
#include "pipe-data.pb-c.h"
#include "pstree.pb-c.h"
#include "stats.pb-c.h"
#include "unit.h"
#include "util/log.h"

static char root[] = "/tmp/image-test-XXXXXX";
static struct image_dir *dir;

static void put_file(const char *name, const void *data, size_t len)
{
	int fd = openat(image_dir_fd(dir), name, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	check(fd >= 0);
	check_eq(write(fd, data, len), len);
	close(fd);
}

static size_t get_file(const char *name, uint8_t *data, size_t size)
{
	int fd = openat(image_dir_fd(dir), name, O_RDONLY);
	ssize_t len;

	check(fd >= 0);
	len = read(fd, data, size);
	check(len >= 0 && (size_t)len < size);
	close(fd);
	return (size_t)len;
}

static void test_table(void)
{
	for (int i = 0; i < IMG_KINDS_COUNT; i++) {
		const struct image_kind_info *kind = image_kind_info(i);

		check(kind->pattern && kind->frame);
		check((kind->frame == IMAGE_FRAME_RAW) == (kind->magic == 0));
		for (int j = 0; j < IMAGE_KIND_MESSAGES && kind->messages[j]; j++)
			check_eq(kind->messages[j]->magic, PROTOBUF_C__MESSAGE_DESCRIPTOR_MAGIC);
	}
}

static void write_pstree(uint32_t pid, size_t count)
{
	struct image *img;
	uint32_t threads[] = { pid, pid + 1 };

	check_eq(image_create(dir, IMG_PSTREE, 0, &img), 0);
	for (size_t i = 0; i < count; i++) {
		PstreeEntry entry = PSTREE_ENTRY__INIT;

		entry.pid = pid;
		entry.ppid = 0;
		entry.pgid = entry.sid = pid;
		entry.n_threads = 2;
		entry.threads = threads;
		check_eq(image_write(img, &entry.base), 0);
	}
	check_eq(image_close(&img), 0);
	check(!img);
}

static void test_framing(void)
{
	uint8_t data[256];
	const uint8_t head[] = { 0x19, 0x43, 0x56, 0x54, 0x30, 0x30, 0x27, 0x50, 12, 0, 0, 0 };
	PstreeEntry *entry;

	write_pstree(5, 1);
	check_eq(get_file("pstree.img", data, sizeof(data)), sizeof(head) + 12);
	check(!memcmp(data, head, sizeof(head)));
	check_eq(image_read_one(dir, IMG_PSTREE, 0, &pstree_entry__descriptor,
				(ProtobufCMessage **)&entry),
		 0);
	check(entry->pid == 5 && entry->n_threads == 2 && entry->threads[1] == 6);
	image_msg_free(&entry->base);

	StatsEntry stats = STATS_ENTRY__INIT;
	const uint8_t service[] = { 0x40, 0x59, 0x10, 0x55, 0x06, 0x33, 0x09, 0x57, 0, 0, 0, 0 };

	check_eq(image_write_one(dir, IMG_STATS, IMAGE_STATS_RESTORE, &stats.base), 0);
	check_eq(get_file("stats-restore", data, sizeof(data)), sizeof(service));
	check(!memcmp(data, service, sizeof(service)));
}

static void test_misuse(void)
{
	struct image *img;
	StatsEntry stats = STATS_ENTRY__INIT;

	check_eq(image_open(dir, IMG_CORE, 77, &img), -ENOENT);
	check_eq(image_create(dir, IMG_CORE, 77, &img), 0);
	check(!strcmp(image_name(img), "core-77.img"));
	check_eq(image_write(img, &stats.base), -EINVAL);
	check_eq(image_close(&img), -EINVAL);
}

/* More than a window of messages and of payload, so that the window has to move. */
static void test_large(void)
{
	static uint8_t payload[3 << 20], back[sizeof(payload)];
	struct image *img;
	PipeDataEntry entry = PIPE_DATA_ENTRY__INIT;
	ProtobufCMessage *msg;
	uint32_t seed = 1;

	for (size_t i = 0; i < sizeof(payload); i++)
		payload[i] = (uint8_t)((seed = seed * 1664525 + 1013904223) >> 24);
	check_eq(image_create(dir, IMG_PIPES_DATA, 0, &img), 0);
	for (size_t len = 1; len <= sizeof(payload); len = len * 3 + 1) {
		entry.pipe_id = (uint32_t)len;
		entry.bytes = (uint32_t)len;
		check_eq(image_write(img, &entry.base), 0);
		check_eq(image_write_raw(img, payload, len), 0);
	}
	check_eq(image_close(&img), 0);

	check_eq(image_open(dir, IMG_PIPES_DATA, 0, &img), 0);
	for (size_t len = 1; len <= sizeof(payload); len = len * 3 + 1) {
		check_eq(image_read(img, &pipe_data_entry__descriptor, &msg), 1);
		check_eq(((PipeDataEntry *)msg)->bytes, len);
		image_msg_free(msg);
		if (len % 2) {
			memset(back, 0, len);
			check_eq(image_read_raw(img, back, len), 0);
			check(!memcmp(back, payload, len));
		} else if (len % 4) {
			check_eq(image_skip_raw(img, len), 0);
		} else {
			check_eq(read(image_fd(img), back, len), len);
			check(!memcmp(back, payload, len));
			check_eq(image_skip_raw(img, len), 0);
		}
	}
	check_eq(image_read(img, &pipe_data_entry__descriptor, &msg), 0);
	check_eq(image_offset(img), image_size(img));
	check_eq(image_close(&img), 0);
}

static void test_many_messages(void)
{
	struct image *img;
	ProtobufCMessage *msg;
	PagemapHead head = PAGEMAP_HEAD__INIT;
	PagemapEntry entry = PAGEMAP_ENTRY__INIT;

	check_eq(image_create(dir, IMG_PAGEMAP, 3, &img), 0);
	check_eq(image_write(img, &head.base), 0);
	for (uint32_t i = 0; i < 200000; i++) {
		entry.vaddr = 4096ull * i;
		entry.compat_nr_pages = i;
		check_eq(image_write(img, &entry.base), 0);
	}
	check_eq(image_close(&img), 0);
	check_eq(image_open(dir, IMG_PAGEMAP, 3, &img), 0);
	check(image_size(img) > 1 << 20);
	check_eq(image_read(img, &pagemap_head__descriptor, &msg), 1);
	image_msg_free(msg);
	for (uint32_t i = 0; i < 200000; i++) {
		check_eq(image_read(img, &pagemap_entry__descriptor, &msg), 1);
		check_eq(((PagemapEntry *)msg)->compat_nr_pages, i);
		image_msg_free(msg);
	}
	check_eq(image_read(img, &pagemap_entry__descriptor, &msg), 0);
	check_eq(image_close(&img), 0);
}

/* Reads pstree.img to its end or first error; the number of messages in *count. */
static int read_all(size_t *count)
{
	scoped_image struct image *img = NULL;
	ProtobufCMessage *msg;
	int ret = image_open(dir, IMG_PSTREE, 0, &img);

	*count = 0;
	while (!ret) {
		ret = image_read(img, &pstree_entry__descriptor, &msg);
		if (ret <= 0)
			return ret;
		image_msg_free(msg);
		++*count;
		ret = 0;
	}
	return ret;
}

static void test_truncated(void)
{
	uint8_t data[256];
	size_t len, count;

	write_pstree(5, 3);
	len = get_file("pstree.img", data, sizeof(data));
	for (size_t cut = 0; cut < len; cut++) {
		/* Between two messages the end is a proper one. */
		bool is_proper = cut >= 8 && (cut - 8) % 16 == 0;

		put_file("pstree.img", data, cut);
		check_eq(read_all(&count), is_proper ? 0 : -EBADMSG);
		check_eq(count, cut < 8 ? 0 : (cut - 8) / 16);
	}
}

static void test_bit_flips(void)
{
	uint8_t data[256];
	size_t len, count;

	write_pstree(5, 3);
	len = get_file("pstree.img", data, sizeof(data));
	for (size_t bit = 0; bit < len * 8; bit++) {
		int ret;

		data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		put_file("pstree.img", data, len);
		ret = read_all(&count);
		check(ret == 0 || ret == -EBADMSG);
		if (bit < 64)
			check_eq(ret, -EBADMSG);
		data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static void test_not_a_file(void)
{
	size_t count;

	unlinkat(image_dir_fd(dir), "pstree.img", 0);
	check_eq(mkfifoat(image_dir_fd(dir), "pstree.img", 0600), 0);
	check_eq(read_all(&count), -EBADMSG);
	unlinkat(image_dir_fd(dir), "pstree.img", 0);
}

static void test_parent(void)
{
	struct image_dir *child, *parent, *again;
	char path[64];

	check_eq(image_dir_parent(dir, &parent), 0);
	check(!parent);
	snprintf(path, sizeof(path), "%s/child", root);
	check_eq(mkdir(path, 0700), 0);
	check_eq(image_dir_open(path, -1, &child), 0);
	check_eq(symlinkat("..", image_dir_fd(child), "parent"), 0);
	check_eq(image_dir_parent(child, &parent), 0);
	check_eq(image_dir_parent(child, &again), 0);
	check(parent && parent == again);
	image_dir_close(child);

	/* dir -> child -> dir */
	check_eq(symlinkat("child", image_dir_fd(dir), "parent"), 0);
	check_eq(image_dir_open(path, -1, &child), 0);
	check_eq(image_dir_parent(child, &parent), 0);
	check_eq(image_dir_parent(parent, &again), -ELOOP);
	unlinkat(image_dir_fd(child), "parent", 0);
	image_dir_close(child);
	unlinkat(image_dir_fd(dir), "child", AT_REMOVEDIR);
	check_eq(image_dir_open(root, -1, &again), 0);
	check_eq(image_dir_parent(again, &parent), -ENOENT);
	image_dir_close(again);
	unlinkat(image_dir_fd(dir), "parent", 0);
}

/* All that a set consists of goes, and nothing else. */
static void test_clear(void)
{
	static const char *const set[] = {
		"inventory.img",    "core-77.img",   "pages-1.img",
		"ghost-file-a.img", "sk-queues.img", "tmpfs-5.tar.gz.img"
	};
	static const char *const others[] = { "stats-dump",  "dump.log", "core-.img",
					      "core-7a.img", "my.img",	 "sk-queues.img.old" };
	struct stat st;

	for (size_t i = 0; i < sizeof(set) / sizeof(*set); i++)
		put_file(set[i], "x", 1);
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		put_file(others[i], "x", 1);
	check_eq(image_dir_clear(dir), 0);
	for (size_t i = 0; i < sizeof(set) / sizeof(*set); i++)
		check(fstatat(image_dir_fd(dir), set[i], &st, 0) && errno == ENOENT);
	for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
		check_eq(unlinkat(image_dir_fd(dir), others[i], 0), 0);
}

int main(void)
{
	log_setup(-1, LOG_LEVEL_NONE, false);
	check(mkdtemp(root));
	check_eq(image_dir_open(root, -1, &dir), 0);
	test_table();
	test_framing();
	test_misuse();
	test_large();
	test_many_messages();
	test_truncated();
	test_bit_flips();
	test_not_a_file();
	test_parent();
	test_clear();
	for (const char *const *name =
		     (const char *const[]){ "stats-restore", "core-77.img", "pipes-data.img",
					    "pagemap-3.img", NULL };
	     *name; name++)
		unlinkat(image_dir_fd(dir), *name, 0);
	image_dir_close(dir);
	check_eq(rmdir(root), 0);
	return 0;
}
