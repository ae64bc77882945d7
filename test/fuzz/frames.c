// SPDX-License-Identifier: GPL-2.0
/* Frames of the page protocol: byte 0 chooses channel, direction and features, byte 1 seals. */
#include <string.h>

#include "fuzz.h"
#include "transport/frame.h"

static const uint8_t pages_frame[2 + sizeof(struct wire_frame)] = { 3, 1, WIRE_F_PAGES };
static const uint8_t ping_frame[2 + sizeof(struct wire_frame)] = { 1, 1, WIRE_F_PING };
static const uint8_t other_frame[2 + sizeof(struct wire_frame) + 32] = { 2, 1, 1 };

const struct fuzz_seed fuzz_seeds[] = {
	{ pages_frame, sizeof(pages_frame) },
	{ ping_frame, sizeof(ping_frame) },
	{ other_frame, sizeof(other_frame) },
	{ NULL, 0 },
};

void fuzz_begin(void)
{
}

static void unpack(const struct wire_frame *frame, const uint8_t *payload)
{
	static uint8_t out[WIRE_PAYLOAD_MAX];

	if (frame->type == WIRE_F_PAGES && frame->flags & WIRE_LZ4)
		frame_unpack(frame, payload, out);
}

void fuzz_one(const uint8_t *data, size_t len)
{
	struct frame_rules rules = { .channel = WIRE_DEMAND };
	struct wire_frame frame;
	uint8_t copy[4096];
	int64_t used;

	if (len < 2 + sizeof(frame) || len - 2 > sizeof(copy))
		return;
	rules.channel = data[0] & 1 ? WIRE_DEMAND : WIRE_BULK;
	rules.from_server = data[0] & 2;
	rules.features = data[0] >> 2;
	memcpy(copy, data + 2, len - 2);
	memcpy(&frame, copy, sizeof(frame));
	if (data[1] & 1) { /* or the checksum would refuse nearly all */
		frame_seal(&rules, &frame, copy + sizeof(frame), len - 2 - sizeof(frame));
		memcpy(copy, &frame, sizeof(frame));
	}
	used = frame_parse(&rules, copy, len - 2);
	if (used > (int64_t)(len - 2))
		__builtin_trap();
	if (used > 0)
		unpack(&frame, copy + sizeof(frame));
}
