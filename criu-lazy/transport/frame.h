/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Frames of the own protocol: made, sent, received, checked. Nothing of a frame is to be used
 * before the call that checks it has said 0. Errors are not logged here; the caller knows whose
 * frame it was.
 *
 *   -EPROTO    a type, flag, length or address that no honest peer sends
 *   -EBADMSG   the checksum or the compressed data does not fit
 *   others     of channel.h
 */
#ifndef TRANSPORT_FRAME_H
#define TRANSPORT_FRAME_H

#include <stdbool.h>

#include "transport/channel.h"
#include "transport/wire.h"

/* Who sent it, on which channel: decides which types are allowed. */
struct frame_rules {
	enum wire_channel channel;
	bool from_server;
	uint32_t features; /* agreed on in the welcome */
};

/* Pure. Everything that can be said of a header alone; afterwards payload <= WIRE_PAYLOAD_MAX,
 * vaddr is aligned and vaddr + nr_pages * WIRE_PAGE does not wrap. */
int frame_check(const struct frame_rules *rules, const struct wire_frame *frame);
/* Pure. The checksum, and for types with a list of ranges every range. */
int frame_check_payload(const struct frame_rules *rules, const struct wire_frame *frame,
			const void *payload);
/* Pure. Sets frame->payload and, where agreed, frame->crc32c. */
void frame_seal(const struct frame_rules *rules, struct wire_frame *frame, const void *payload,
		size_t len);
/*
 * Pure. The pages of a checked WIRE_F_PAGES frame with WIRE_LZ4: exactly nr_pages * WIRE_PAGE bytes
 * into out, or -EBADMSG.
 */
int frame_unpack(const struct wire_frame *frame, const void *payload, void *out);
/* Does this type carry struct wire_range, and how many are in this frame. */
bool frame_has_ranges(uint32_t type);
size_t frame_range_count(const struct wire_frame *frame);

/*
 * Seals and sends, in one go. payload: `len` bytes, or NULL. One thread at a time per channel may
 * send. timeout_ms as in channel_write().
 */
int frame_send(struct channel *channel, const struct frame_rules *rules, struct wire_frame *frame,
	       const void *payload, size_t len, int timeout_ms);
/* The next header, checked by frame_check(). rules: of what the peer may send. */
int frame_receive(struct channel *channel, const struct frame_rules *rules,
		  struct wire_frame *frame, int timeout_ms);
/* Its payload, frame->payload bytes to buf (size at least that, else -EPROTO), checked. */
int frame_receive_payload(struct channel *channel, const struct frame_rules *rules,
			  const struct wire_frame *frame, void *buf, size_t size, int timeout_ms);

/*
 * Pure. One whole frame at the start of data, for tests and fuzzing: the bytes it takes, 0 if data
 * ends before it does, or a negative errno.
 */
int64_t frame_parse(const struct frame_rules *rules, const void *data, size_t len);

#endif
