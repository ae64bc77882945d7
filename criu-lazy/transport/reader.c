// SPDX-License-Identifier: GPL-2.0
#include "transport/reader.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int reader_init(struct reader *reader, size_t room)
{
	*reader = (struct reader){ .buffer = malloc(room), .room = room };
	return reader->buffer ? 0 : -ENOMEM;
}

void reader_fini(struct reader *reader)
{
	free(reader->buffer);
	*reader = (struct reader){ 0 };
}

void reader_reset(struct reader *reader)
{
	reader->at = reader->end = 0;
}

static void make_room(struct reader *reader, size_t len)
{
	if (reader->at == reader->end) {
		reader->at = reader->end = 0;
	} else if (reader->room - reader->at < len) {
		memmove(reader->buffer, reader->buffer + reader->at, reader->end - reader->at);
		reader->end -= reader->at;
		reader->at = 0;
	}
}

int reader_peek(struct reader *reader, struct channel *channel, size_t len, int timeout_ms,
		const void **out)
{
	*out = NULL;
	if (len > reader->room)
		return -EPROTO;
	while (reader->end - reader->at < len) {
		ssize_t got;

		make_room(reader, len);
		got = channel_read_some(channel, reader->buffer + reader->end,
					reader->is_exact ? reader->at + len - reader->end
							 : reader->room - reader->end,
					timeout_ms);
		if (got < 0)
			return (int)got;
		reader->end += (size_t)got;
	}
	*out = reader->buffer + reader->at;
	return 0;
}

void reader_take(struct reader *reader, size_t len)
{
	reader->at += len;
}

int reader_frame(struct reader *reader, struct channel *channel, const struct frame_rules *rules,
		 int timeout_ms, struct wire_frame *frame, const void **payload)
{
	const void *bytes;
	int ret = reader_peek(reader, channel, sizeof(*frame), timeout_ms, &bytes);

	if (ret)
		return ret;
	memcpy(frame, bytes, sizeof(*frame));
	ret = frame_check(rules, frame);
	if (!ret)
		ret = reader_peek(reader, channel, sizeof(*frame) + frame->payload, timeout_ms,
				  &bytes);
	if (ret)
		return ret;
	*payload = (const uint8_t *)bytes + sizeof(*frame);
	ret = frame_check_payload(rules, frame, *payload);
	if (!ret)
		reader_take(reader, sizeof(*frame) + frame->payload);
	return ret;
}

int reader_header(struct reader *reader, struct channel *channel, const struct frame_rules *rules,
		  int timeout_ms, struct wire_frame *frame)
{
	const void *bytes;
	int ret = reader_peek(reader, channel, sizeof(*frame), timeout_ms, &bytes);

	if (ret)
		return ret;
	memcpy(frame, bytes, sizeof(*frame));
	reader_take(reader, sizeof(*frame));
	return frame_check(rules, frame);
}

int reader_payload(struct reader *reader, struct channel *channel, const struct frame_rules *rules,
		   int timeout_ms, const struct wire_frame *frame, void *to)
{
	size_t have = reader->end - reader->at;
	int ret = 0;

	if (have > frame->payload)
		have = frame->payload;
	if (have)
		memcpy(to, reader->buffer + reader->at, have);
	reader_take(reader, have);
	if (have < frame->payload)
		ret = channel_read(channel, (uint8_t *)to + have, frame->payload - have,
				   timeout_ms);
	return ret ? ret : frame_check_payload(rules, frame, to);
}
