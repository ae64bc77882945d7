// SPDX-License-Identifier: GPL-2.0
#include "dump/dump.h"
#include "mem/registry.h"
#include "pagemap.pb-c.h"

enum { PAGE = 4096 };

int pagemap_writer_begin(struct dump *dump, enum image_kind kind, uint64_t id, uint32_t pages_id,
			 struct pagemap_writer *out)
{
	PagemapHead head = PAGEMAP_HEAD__INIT;
	int ret = image_create(dump->images, kind, id, &out->img);

	out->start = out->end = 0;
	head.pages_id = pages_id;
	return ret ? ret : image_write(out->img, &head.base);
}

static int write_entry(struct pagemap_writer *writer)
{
	PagemapEntry entry = PAGEMAP_ENTRY__INIT;
	uint64_t pages = (writer->end - writer->start) / PAGE;

	if (!pages)
		return 0;
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
	if (writer->end == start && writer->flags == flags) {
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

	if (ret) {
		image_abandon(&writer->img);
		writer->img = NULL;
		return ret;
	}
	return image_close(&writer->img);
}
