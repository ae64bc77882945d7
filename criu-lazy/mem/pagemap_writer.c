// SPDX-License-Identifier: GPL-2.0
#include "mem/pagemap_writer.h"

#include <errno.h>

#include "pagemap.pb-c.h"
#include "transport/push.h"
#include "transport/wire.h"

enum { PAGE = 4096 };

int pagemap_writer_begin(struct image_dir *images, struct page_push *push, enum image_kind kind,
			 uint64_t id, uint32_t pages_id, struct pagemap_writer *out)
{
	PagemapHead head = PAGEMAP_HEAD__INIT;
	int ret;

	*out = (struct pagemap_writer){ .push = push };
	if (push) {
		out->list = push_list_new(
			wire_object(kind == IMG_PAGEMAP ? WIRE_TASK : WIRE_SHMEM, id));
		return out->list ? 0 : -ENOMEM;
	}
	ret = image_create(images, kind, id, &out->img);
	head.pages_id = pages_id;
	return ret ? ret : image_write(out->img, &head.base);
}

static int write_entry(struct pagemap_writer *writer)
{
	PagemapEntry entry = PAGEMAP_ENTRY__INIT;
	uint64_t pages = (writer->end - writer->start) / PAGE;

	if (!pages)
		return 0;
	if (writer->push)
		return push_entry(writer->list, writer->start, writer->end, writer->flags);
	entry.vaddr = writer->start;
	entry.has_nr_pages = entry.has_flags = 1;
	entry.nr_pages = pages;
	/* What readers from before nr_pages look at, the distribution's crit among them. */
	entry.compat_nr_pages = pages <= UINT32_MAX ? (uint32_t)pages : 0;
	entry.flags = writer->flags;
	return image_write(writer->img, &entry.base);
}

int pagemap_writer_add(struct pagemap_writer *writer, uint64_t start, uint64_t end, uint32_t flags)
{
	if (start < writer->boundary && end > writer->boundary) {
		int ret = pagemap_writer_add(writer, start, writer->boundary, flags);

		return ret ? ret : pagemap_writer_add(writer, writer->boundary, end, flags);
	}
	if (writer->end == start && writer->flags == flags && start != writer->boundary) {
		writer->end = end;
		return 0;
	}
	int ret = write_entry(writer);

	writer->start = start;
	writer->end = end;
	writer->flags = flags;
	return ret;
}

int pagemap_writer_end(struct pagemap_writer *writer, int failed)
{
	int ret = failed ? failed : write_entry(writer);

	if (writer->push && ret) {
		push_list_free(writer->list);
		return ret;
	}
	if (writer->push)
		return push_begin(writer->push, writer->list);
	if (ret) {
		image_abandon(&writer->img);
		writer->img = NULL;
		return ret;
	}
	return image_close(&writer->img);
}
