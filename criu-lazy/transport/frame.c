// SPDX-License-Identifier: GPL-2.0
#include "transport/frame.h"

#include <errno.h>
#include <string.h>

#include "transport/compress.h"
#include "transport/crc32c.h"

enum frame_body {
	BODY_NONE,
	BODY_PAGES,
	BODY_RANGES, /* or nothing, with WIRE_ALL */
};

enum frame_from { CLIENT = 1, SERVER = 2, EITHER = CLIENT | SERVER };

struct frame_spec {
	uint8_t channels; /* enum wire_channel, as bits */
	uint8_t from;	  /* enum frame_from */
	uint8_t body;	  /* enum frame_body */
	uint8_t flags;	  /* allowed */
	bool has_pages;	  /* nr_pages and object mean something */
	uint32_t pages_max;
};

/* What each type may be. A row with channels 0 is no type. */
static const struct frame_spec specs[] = {
	[WIRE_F_GET] = { WIRE_DEMAND, CLIENT, BODY_NONE, 0, true, WIRE_GET_MAX },
	[WIRE_F_PAGES] = { WIRE_DEMAND | WIRE_BULK, SERVER, BODY_PAGES, WIRE_LAST | WIRE_LZ4, true,
			   WIRE_PAGES_MAX },
	[WIRE_F_ZERO] = { WIRE_DEMAND | WIRE_BULK, SERVER, BODY_NONE, WIRE_LAST, true, UINT32_MAX },
	[WIRE_F_GONE] = { WIRE_DEMAND | WIRE_BULK, SERVER, BODY_NONE, WIRE_LAST, true, UINT32_MAX },
	[WIRE_F_PING] = { WIRE_DEMAND | WIRE_BULK, EITHER, BODY_NONE, 0, false, 0 },
	[WIRE_F_PONG] = { WIRE_DEMAND | WIRE_BULK, EITHER, BODY_NONE, 0, false, 0 },
	[WIRE_F_OWED] = { WIRE_BULK, CLIENT, BODY_RANGES, WIRE_ALL, false, 0 },
	[WIRE_F_PRIORITY] = { WIRE_BULK, CLIENT, BODY_RANGES, 0, false, 0 },
	[WIRE_F_DROP] = { WIRE_BULK, CLIENT, BODY_RANGES, WIRE_ALL, false, 0 },
	[WIRE_F_CONFIRM] = { WIRE_BULK, CLIENT, BODY_RANGES, WIRE_ALL, false, 0 },
	[WIRE_F_START] = { WIRE_BULK, CLIENT, BODY_NONE, 0, false, 0 },
	[WIRE_F_RATE] = { WIRE_BULK, CLIENT, BODY_NONE, 0, false, 0 },
	[WIRE_F_DONE] = { WIRE_BULK, CLIENT, BODY_NONE, 0, false, 0 },
	[WIRE_F_END] = { WIRE_BULK, SERVER, BODY_NONE, 0, false, 0 },
	[WIRE_F_BYE] = { WIRE_BULK, SERVER, BODY_NONE, 0, false, 0 },
};

#define ADDRESS_MAX (1ull << 63)

static const struct frame_spec *find_spec(const struct frame_rules *rules, uint32_t type)
{
	const struct frame_spec *spec;

	if (type >= sizeof(specs) / sizeof(specs[0]))
		return NULL;
	spec = &specs[type];
	if (!(spec->channels & rules->channel))
		return NULL;
	return spec->from & (rules->from_server ? SERVER : CLIENT) ? spec : NULL;
}

static bool is_object(uint64_t object)
{
	unsigned int type = wire_object_type(object);

	return (type == WIRE_TASK || type == WIRE_SHMEM) && wire_object_id(object);
}

/* Is [vaddr, vaddr + nr_pages) a range at all? */
static bool is_range(uint64_t vaddr, uint64_t nr_pages)
{
	return nr_pages && vaddr % WIRE_PAGE == 0 && vaddr < ADDRESS_MAX &&
	       nr_pages <= (ADDRESS_MAX - vaddr) / WIRE_PAGE;
}

static bool is_body_right(const struct frame_spec *spec, const struct wire_frame *frame)
{
	uint64_t bytes = (uint64_t)frame->nr_pages * WIRE_PAGE;

	switch (spec->body) {
	case BODY_PAGES:
		return frame->flags & WIRE_LZ4 ? frame->payload && frame->payload < bytes
					       : frame->payload == bytes;
	case BODY_RANGES:
		if (frame->flags & WIRE_ALL)
			return !frame->payload;
		return frame->payload && frame->payload % sizeof(struct wire_range) == 0 &&
		       frame->payload <= WIRE_RANGES_MAX * sizeof(struct wire_range);
	default:
		return !frame->payload;
	}
}

int frame_check(const struct frame_rules *rules, const struct wire_frame *frame)
{
	const struct frame_spec *spec = find_spec(rules, frame->type);

	if (!spec || frame->flags & ~(uint32_t)spec->flags || !is_body_right(spec, frame))
		return -EPROTO;
	if (frame->flags & WIRE_LZ4 && !(rules->features & WIRE_FEATURE_LZ4))
		return -EPROTO;
	if (spec->has_pages && (frame->nr_pages > spec->pages_max || !is_object(frame->object) ||
				!is_range(frame->vaddr, frame->nr_pages)))
		return -EPROTO;
	if (spec->body == BODY_RANGES && !is_object(frame->object) &&
	    !(frame->flags & WIRE_ALL && !frame->object))
		return -EPROTO;
	return 0;
}

bool frame_has_ranges(uint32_t type)
{
	return type < sizeof(specs) / sizeof(specs[0]) && specs[type].body == BODY_RANGES;
}

size_t frame_range_count(const struct wire_frame *frame)
{
	return frame_has_ranges(frame->type) ? frame->payload / sizeof(struct wire_range) : 0;
}

static uint32_t checksum(const struct wire_frame *frame, const void *payload)
{
	struct wire_frame header = *frame;

	header.crc32c = 0;
	return crc32c(crc32c(0, &header, sizeof(header)), payload, frame->payload);
}

static int check_ranges(const struct wire_frame *frame, const void *payload)
{
	uint64_t last = 0;

	for (size_t i = 0; i < frame_range_count(frame); i++) {
		struct wire_range range;

		memcpy(&range, (const uint8_t *)payload + i * sizeof(range), sizeof(range));
		if (!is_range(range.vaddr, range.nr_pages))
			return -EPROTO;
		if (frame->type == WIRE_F_PRIORITY)
			continue;
		if (range.vaddr < last)
			return -EPROTO;
		last = range.vaddr + range.nr_pages * WIRE_PAGE;
	}
	return 0;
}

int frame_check_payload(const struct frame_rules *rules, const struct wire_frame *frame,
			const void *payload)
{
	if (rules->features & WIRE_FEATURE_CRC32C && checksum(frame, payload) != frame->crc32c)
		return -EBADMSG;
	return check_ranges(frame, payload);
}

void frame_seal(const struct frame_rules *rules, struct wire_frame *frame, const void *payload,
		size_t len)
{
	frame->payload = (uint32_t)len;
	frame->crc32c = rules->features & WIRE_FEATURE_CRC32C ? checksum(frame, payload) : 0;
}

int frame_unpack(const struct wire_frame *frame, const void *payload, void *out)
{
	return lz4_unpack(payload, frame->payload, out, (size_t)frame->nr_pages * WIRE_PAGE);
}

int frame_send(struct channel *channel, const struct frame_rules *rules, struct wire_frame *frame,
	       const void *payload, size_t len, int timeout_ms)
{
	struct iovec parts[] = {
		{ .iov_base = frame, .iov_len = sizeof(*frame) },
		{ .iov_base = (void *)payload, .iov_len = len },
	};

	frame_seal(rules, frame, payload, len);
	return channel_write(channel, parts, len ? 2 : 1, timeout_ms);
}

int frame_receive(struct channel *channel, const struct frame_rules *rules,
		  struct wire_frame *frame, int timeout_ms)
{
	int ret = channel_read(channel, frame, sizeof(*frame), timeout_ms);

	if (!ret)
		ret = frame_check(rules, frame);
	/* Frames with a payload are summed when it is there. */
	if (!ret && !frame->payload)
		ret = frame_check_payload(rules, frame, NULL);
	return ret;
}

int frame_receive_payload(struct channel *channel, const struct frame_rules *rules,
			  const struct wire_frame *frame, void *buf, size_t size, int timeout_ms)
{
	int ret;

	if (!frame->payload)
		return 0;
	if (frame->payload > size)
		return -EPROTO;
	ret = channel_read(channel, buf, frame->payload, timeout_ms);
	return ret ? ret : frame_check_payload(rules, frame, buf);
}

int64_t frame_parse(const struct frame_rules *rules, const void *data, size_t len)
{
	struct wire_frame frame;
	int ret;

	if (len < sizeof(frame))
		return 0;
	memcpy(&frame, data, sizeof(frame));
	ret = frame_check(rules, &frame);
	if (ret)
		return ret;
	if (len - sizeof(frame) < frame.payload)
		return 0;
	ret = frame_check_payload(rules, &frame, (const uint8_t *)data + sizeof(frame));
	return ret ? ret : (int64_t)(sizeof(frame) + frame.payload);
}
