/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Whole messages out of a channel: as much is read at once as there is, and messages are handed out
 * where they lie.
 */
#ifndef TRANSPORT_READER_H
#define TRANSPORT_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "transport/channel.h"
#include "transport/frame.h"

struct reader {
	uint8_t *buffer;
	size_t room;
	size_t at, end; /* what is not handed out yet */
	bool is_exact;	/* no more is read than asked for */
};

/* room: more than the longest message. -ENOMEM. */
int reader_init(struct reader *reader, size_t room);
void reader_fini(struct reader *reader);
void reader_reset(struct reader *reader);

/*
 * The next `len` bytes without taking them; NULL in *out and -ETIMEDOUT when they did not come in
 * timeout_ms (0: are not there). Other errors as in channel.h; -EPROTO: longer than any message.
 */
int reader_peek(struct reader *reader, struct channel *channel, size_t len, int timeout_ms,
		const void **out);
void reader_take(struct reader *reader, size_t len);

/*
 * The next frame, checked. *payload lies in the reader's buffer until the next call. Errors as
 * above and in frame.h.
 */
int reader_frame(struct reader *reader, struct channel *channel, const struct frame_rules *rules,
		 int timeout_ms, struct wire_frame *frame, const void **payload);

/*
 * The same in two steps, for a payload that is to lie elsewhere: at `to`, frame->payload bytes. A
 * reader that is_exact leaves it in the channel until then.
 */
int reader_header(struct reader *reader, struct channel *channel, const struct frame_rules *rules,
		  int timeout_ms, struct wire_frame *frame);
int reader_payload(struct reader *reader, struct channel *channel, const struct frame_rules *rules,
		   int timeout_ms, const struct wire_frame *frame, void *to);

#endif
