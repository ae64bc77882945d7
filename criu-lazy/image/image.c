// SPDX-License-Identifier: GPL-2.0
/* What readers and writers of images share: names, opening and closing. */
#include "image/image.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "image/impl.h"
#include "util/log.h"
#include "util/scope.h"

static int format_id(char conversion, uint64_t id, char *buf, size_t size)
{
	switch (conversion) {
	case 'u':
		return snprintf(buf, size, "%" PRIu64, id);
	case 'x':
		return snprintf(buf, size, "%" PRIx64, id);
	default:
		return snprintf(buf, size, "%s",
				id == IMAGE_STATS_DUMP	    ? "dump"
				: id == IMAGE_STATS_RESTORE ? "restore"
							    : "lazy-pages");
	}
}

int image_format_name(const struct image_kind_info *kind, uint64_t id, char *buf, size_t size)
{
	const char *mark = strchr(kind->pattern, '%');
	char text[24] = "";
	int len;

	if (!mark) {
		len = snprintf(buf, size, "%s", kind->pattern);
	} else {
		format_id(mark[1], id, text, sizeof(text));
		len = snprintf(buf, size, "%.*s%s%s", (int)(mark - kind->pattern), kind->pattern,
			       text, mark + 2);
	}
	return len >= 0 && (size_t)len < size ? 0 : -EINVAL;
}

bool image_name_is_of(const struct image_kind_info *kind, const char *name)
{
	const char *mark = strchr(kind->pattern, '%');
	size_t before = mark ? (size_t)(mark - kind->pattern) : 0, digits;

	if (!mark)
		return !strcmp(name, kind->pattern);
	if (strncmp(name, kind->pattern, before))
		return false;
	digits = strspn(name + before, mark[1] == 'x' ? "0123456789abcdef" : "0123456789");
	return digits && !strcmp(name + before + digits, mark + 2);
}

int image_new(struct image_dir *dir, enum image_kind kind, uint64_t id, int flags,
	      struct image **out)
{
	struct image *img;

	if ((unsigned int)kind >= IMG_KINDS_COUNT)
		return log_ret(-EINVAL, "image kind %d", (int)kind);
	img = calloc(1, sizeof(*img));
	if (!img)
		return log_ret(-ENOMEM, "image kind %d", (int)kind);
	img->kind = image_kind_info(kind);
	image_format_name(img->kind, id, img->name, sizeof(img->name));
	/* Not truncated: ext4 writes a file that was, at once, when it is closed. */
	if (flags & O_CREAT)
		unlinkat(image_dir_fd(dir), img->name, 0);
	img->fd = openat(image_dir_fd(dir), img->name, flags | O_CLOEXEC | O_NOCTTY, 0600);
	if (img->fd < 0) {
		int ret = errno == ENOENT && !(flags & O_CREAT)
				  ? -ENOENT
				  : log_errno("image %s: open", img->name);

		free(img);
		return ret;
	}
	*out = img;
	return 0;
}

int image_log_missing(enum image_kind kind, uint64_t id)
{
	char name[IMAGE_NAME_MAX];

	image_format_name(image_kind_info(kind), id, name, sizeof(name));
	return log_ret(-ENOENT, "image %s", name);
}

void image_free(struct image *img)
{
	if (img->fd >= 0)
		close(img->fd);
	free(img->buf);
	free(img);
}

int image_close(struct image **img)
{
	struct image *closing = take_ptr(*img);
	int ret = 0;

	if (!closing)
		return 0;
	if (closing->is_writer) {
		ret = closing->error ? closing->error : image_flush(closing);
		/* Some file systems (NFS) tell only now that what was written is lost. */
		if (close(closing->fd) && errno != EINTR && !ret)
			ret = log_errno("image %s: close", closing->name);
		closing->fd = -1;
	}
	image_free(closing);
	return ret;
}

void image_abandon(struct image *const *img)
{
	if (*img)
		image_free(*img);
}

const char *image_name(const struct image *img)
{
	return img->name;
}

uint64_t image_offset(const struct image *img)
{
	return img->base + (img->is_writer ? img->filled : img->pos);
}

uint64_t image_size(const struct image *img)
{
	return img->is_writer ? image_offset(img) : img->size;
}

int image_bad(const struct image *img, const char *fmt, ...)
{
	char reason[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(reason, sizeof(reason), fmt, args);
	va_end(args);
	log_err("image %s: offset %" PRIu64 ": %s", img->name, image_offset(img), reason);
	return -EBADMSG;
}

int image_fd(struct image *img)
{
	if (img->is_writer) {
		int ret = img->error ? img->error : image_flush(img);

		return ret ? ret : img->fd;
	}
	if (lseek(img->fd, (off_t)image_offset(img), SEEK_SET) < 0)
		return log_errno("image %s: seek to %" PRIu64, img->name, image_offset(img));
	return img->fd;
}

void image_msg_free(ProtobufCMessage *msg)
{
	protobuf_c_message_free_unpacked(msg, NULL);
}
