// SPDX-License-Identifier: GPL-2.0
/*
 * The plan of a restore (--check-only) with one image of a good set replaced by the input: byte 0
 * is its place in the sorted directory FUZZ_IMAGES, the rest its new content without the magics.
 * Not run by `make unit`: it needs a set and root. With FUZZ_CORPUS=DIR the set itself is written
 * there as inputs.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"
#include "options/options.h"
#include "restore/restore.h"

enum { FILES_MAX = 256, MAGICS = 8, FILE_MAX = 1 << 20 };

static struct dirent **names, **all;
static int nr_names;
static char *images;

const struct fuzz_seed fuzz_seeds[] = {
	FUZZ_TEXT("\x00\x02\x00\x00\x00\x08\x01"),
	{ NULL, 0 },
};

static int is_message_image(const struct dirent *entry)
{
	const char *end = strrchr(entry->d_name, '.');

	return end && !strcmp(end, ".img") && strncmp(entry->d_name, "pages-", 6);
}

static int is_image(const struct dirent *entry)
{
	return strstr(entry->d_name, ".img") != NULL;
}

static size_t read_image(const char *name, uint8_t *data, size_t size)
{
	char path[4096];
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "%s/%s", images, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	len = fd < 0 ? -1 : read(fd, data, size);
	if (len < 0)
		abort();
	close(fd);
	return (size_t)len;
}

static void link_image(const char *name)
{
	char path[4096];

	snprintf(path, sizeof(path), "%s/%s", images, name);
	unlink(name);
	if (symlink(path, name))
		abort();
}

/* The set itself as inputs, into the directory FUZZ_CORPUS. */
static void write_corpus(const char *corpus)
{
	static uint8_t data[FILE_MAX];

	for (int i = 0; i < nr_names; i++) {
		size_t len = read_image(names[i]->d_name, data, sizeof(data));
		uint8_t number = (uint8_t)i;
		char path[4096];

		snprintf(path, sizeof(path), "%s/%s", corpus, names[i]->d_name);
		if (len > MAGICS)
			fuzz_put_file(path, &number, 1, data + MAGICS, len - MAGICS);
	}
}

void fuzz_begin(void)
{
	int nr_all;

	images = getenv("FUZZ_IMAGES") ? realpath(getenv("FUZZ_IMAGES"), NULL) : NULL;
	if (!images) {
		fprintf(stderr, "FUZZ_IMAGES=DIR: a set of images to begin with\n");
		exit(2);
	}
	nr_names = scandir(images, &names, is_message_image, alphasort);
	nr_all = scandir(images, &all, is_image, alphasort);
	if (nr_names <= 0 || nr_names > FILES_MAX)
		abort();
	if (getenv("FUZZ_CORPUS"))
		write_corpus(getenv("FUZZ_CORPUS"));
	fuzz_enter_directory();
	for (int i = 0; i < nr_all; i++)
		link_image(all[i]->d_name);
}

void fuzz_one(const uint8_t *data, size_t len)
{
	static uint8_t head[MAGICS];
	struct options opts;
	const char *name;

	if (!len)
		return;
	name = names[data[0] % nr_names]->d_name;
	if (read_image(name, head, sizeof(head)) != sizeof(head))
		return;
	unlink(name);
	fuzz_put_file(name, head, sizeof(head), data + 1, len - 1);
	options_init(&opts);
	opts.images_dir = strdup(".");
	opts.check_only = true;
	opts.shell_job = true;
	opts.lazy_pages = len & 1;
	restore_run(&opts, NULL);
	options_fini(&opts);
	link_image(name);
}
