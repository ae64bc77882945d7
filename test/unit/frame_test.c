// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>

#include "transport/compress.h"
#include "transport/crc32c.h"
#include "transport/frame.h"
#include "unit.h"

static const struct frame_rules client_bulk = { WIRE_BULK, false,
						WIRE_FEATURE_CRC32C | WIRE_FEATURE_LZ4 };
static const struct frame_rules server_bulk = { WIRE_BULK, true,
						WIRE_FEATURE_CRC32C | WIRE_FEATURE_LZ4 };
static const struct frame_rules server_plain = { WIRE_DEMAND, true, 0 };
static const struct frame_rules client_demand = { WIRE_DEMAND, false, WIRE_FEATURE_CRC32C };

static void test_crc32c(void)
{
	uint8_t zeros[32] = { 0 }, data[20000];

	/* RFC 3720, B.4 */
	check_eq(crc32c(0, zeros, 32), 0x8a9136aa);
	check_eq(crc32c_table(0, "123456789", 9), 0xe3069283);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + i / 256);
	for (size_t len = 0; len < sizeof(data); len += 613)
		check_eq(crc32c(5, data + len % 9, len), crc32c_table(5, data + len % 9, len));
	check_eq(crc32c(crc32c(0, data, 5000), data + 5000, 15000), crc32c(0, data, 20000));
}

static struct wire_frame pages_frame(uint32_t nr)
{
	return (struct wire_frame){ .type = WIRE_F_PAGES,
				    .object = wire_object(WIRE_TASK, 7),
				    .vaddr = 0x7f0000000000,
				    .nr_pages = nr,
				    .payload = nr * WIRE_PAGE };
}

#define REFUSED(rules, frame, statement)                  \
	do {                                              \
		struct wire_frame changed = (frame);      \
		struct wire_frame *f = &changed;          \
		statement;                                \
		check_eq(frame_check(rules, f), -EPROTO); \
	} while (0)

static void test_headers(void)
{
	struct wire_frame pages = pages_frame(3);
	struct wire_frame get = { .type = WIRE_F_GET,
				  .object = wire_object(WIRE_SHMEM, 1),
				  .nr_pages = 16 };
	struct wire_frame owed = { .type = WIRE_F_OWED, .flags = WIRE_ALL };

	check_eq(frame_check(&server_bulk, &pages), 0);
	check_eq(frame_check(&client_demand, &get), 0);
	check_eq(frame_check(&client_bulk, &owed), 0);
	/* whose turn it is */
	check_eq(frame_check(&client_bulk, &pages), -EPROTO);
	check_eq(frame_check(&client_bulk, &get), -EPROTO);
	check_eq(frame_check(&client_demand, &owed), -EPROTO);
	for (uint32_t type = 0; type < 100; type++) {
		struct wire_frame frame = { .type = type, .payload = UINT32_MAX, .nr_pages = 1 };

		check_eq(frame_check(&server_bulk, &frame), -EPROTO);
	}
	REFUSED(&server_bulk, pages, f->type = 0x80000002u);
	REFUSED(&server_bulk, pages, f->flags = WIRE_ALL);
	REFUSED(&server_bulk, pages, f->flags = 1u << 31);
	REFUSED(&server_bulk, pages, f->object = 7 << 8 | 3);
	REFUSED(&server_bulk, pages, f->object = WIRE_TASK);
	REFUSED(&server_bulk, pages, f->vaddr += 1);
	REFUSED(&server_bulk, pages, f->vaddr = -4096ull);
	REFUSED(&server_bulk, pages, f->vaddr = 1ull << 63);
	REFUSED(&server_bulk, pages, f->nr_pages = 0; f->payload = 0);
	REFUSED(&server_bulk, pages, f->nr_pages = 257; f->payload = 257 * 4096);
	REFUSED(&server_bulk, pages, f->nr_pages = 1u << 20; f->payload = 0);
	REFUSED(&server_bulk, pages, f->payload -= 1);
	REFUSED(&server_bulk, pages, f->flags = WIRE_LZ4);
	REFUSED(&server_bulk, pages, f->flags = WIRE_LZ4; f->payload = 0);
	pages.flags = WIRE_LZ4;
	pages.payload = 100;
	check_eq(frame_check(&server_bulk, &pages), 0);
	check_eq(frame_check(&server_plain, &pages), -EPROTO);
	REFUSED(&client_demand, get, f->nr_pages = WIRE_GET_MAX + 1);
	REFUSED(&client_demand, get, f->payload = 16);
	REFUSED(&client_bulk, owed, f->payload = 16);
	REFUSED(&client_bulk, owed, f->flags = 0; f->payload = 16);
	REFUSED(&client_bulk, owed, f->flags = 0; f->object = 257; f->payload = 0);
	REFUSED(&client_bulk, owed, f->flags = 0; f->object = 257; f->payload = 17);
	REFUSED(&client_bulk, owed, f->flags = 0; f->object = 257; f->payload = (64 << 10) + 16);
}

static int64_t parse_ranges(uint32_t type, struct wire_range *ranges, size_t count)
{
	struct wire_frame frame = { .type = type, .object = wire_object(WIRE_TASK, 1) };
	uint8_t bytes[4096];
	size_t len = count * sizeof(*ranges);

	frame_seal(&client_bulk, &frame, ranges, len);
	memcpy(bytes, &frame, sizeof(frame));
	memcpy(bytes + sizeof(frame), ranges, len);
	check_eq(frame_parse(&client_bulk, bytes, sizeof(frame) - 1), 0);
	check_eq(frame_parse(&client_bulk, bytes, sizeof(frame) + len - 1), 0);
	return frame_parse(&client_bulk, bytes, sizeof(frame) + len);
}

static void test_ranges(void)
{
	struct wire_range good[] = { { 0x1000, 1 }, { 0x2000, 5 }, { 0x100000, 1 } };
	struct wire_range mixed[] = { { 0x5000, 1 }, { 0x1000, 1 } };
	struct wire_range empty[] = { { 0x5000, 0 } };
	struct wire_range wraps[] = { { 0x5000, UINT64_MAX } };
	struct wire_range odd[] = { { 0x5001, 1 } };

	check_eq(parse_ranges(WIRE_F_OWED, good, 3), 40 + 48);
	check_eq(parse_ranges(WIRE_F_OWED, mixed, 2), -EPROTO);
	check_eq(parse_ranges(WIRE_F_PRIORITY, mixed, 2), 40 + 32);
	check_eq(parse_ranges(WIRE_F_DROP, empty, 1), -EPROTO);
	check_eq(parse_ranges(WIRE_F_CONFIRM, wraps, 1), -EPROTO);
	check_eq(parse_ranges(WIRE_F_OWED, odd, 1), -EPROTO);
}

/* Every single flipped bit of a frame is noticed. */
static void test_damage(void)
{
	struct wire_frame frame = pages_frame(1);
	uint8_t bytes[sizeof(frame) + WIRE_PAGE];

	memset(bytes, 0x5a, sizeof(bytes));
	frame_seal(&server_bulk, &frame, bytes + sizeof(frame), WIRE_PAGE);
	memcpy(bytes, &frame, sizeof(frame));
	check_eq(frame_parse(&server_bulk, bytes, sizeof(bytes)), sizeof(bytes));
	for (size_t bit = 0; bit < sizeof(bytes) * 8; bit++) {
		bytes[bit / 8] ^= 1 << bit % 8;
		check(frame_parse(&server_bulk, bytes, sizeof(bytes)) <= 0);
		bytes[bit / 8] ^= 1 << bit % 8;
	}
}

static void test_lz4(void)
{
	static uint8_t data[8 * WIRE_PAGE], packed[sizeof(data)], out[sizeof(data)];
	struct wire_frame frame = pages_frame(8);
	size_t len;

	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i / 100);
	len = lz4_pack(data, sizeof(data), packed, sizeof(packed));
	check(len && len < sizeof(data) / 4);
	frame.payload = (uint32_t)len;
	check_eq(frame_unpack(&frame, packed, out), 0);
	check(!memcmp(out, data, sizeof(data)));
	frame.nr_pages = 7;
	check_eq(frame_unpack(&frame, packed, out), -EBADMSG);
	frame.nr_pages = 8;
	frame.payload--;
	check_eq(frame_unpack(&frame, packed, out), -EBADMSG);
	for (size_t i = 0; i < len; i++) {
		packed[i] ^= 0xff;
		frame.payload = (uint32_t)len;
		frame_unpack(&frame, packed, out); /* any result, but no stray access */
		packed[i] ^= 0xff;
	}
}

struct pair {
	struct channel *a, *b;
};

static void *send_frames(void *arg)
{
	struct pair *pair = arg;
	static uint8_t data[256 * WIRE_PAGE];

	for (uint32_t i = 0; i < 20; i++) {
		struct wire_frame frame = pages_frame(256);

		frame.seq = i;
		memset(data, (int)i, sizeof(data));
		check_eq(frame_send(pair->a, &server_bulk, &frame, data, sizeof(data), 5000), 0);
	}
	return NULL;
}

static void test_channel(void)
{
	static uint8_t data[256 * WIRE_PAGE];
	struct wire_frame frame;
	struct pair pair;
	pthread_t thread;
	int fds[2];

	check(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
	check_eq(channel_new(fds[0], &pair.a), 0);
	check_eq(channel_new(fds[1], &pair.b), 0);
	check(channel_is_local(pair.b));
	check_eq(frame_receive(pair.b, &server_bulk, &frame, 10), -ETIMEDOUT);
	check(!pthread_create(&thread, NULL, send_frames, &pair));
	for (uint32_t i = 0; i < 20; i++) {
		check_eq(frame_receive(pair.b, &server_bulk, &frame, 5000), 0);
		check_eq(frame.seq, i);
		check_eq(frame_receive_payload(pair.b, &server_bulk, &frame, data, sizeof(data),
					       5000),
			 0);
		check_eq(data[100000], i);
	}
	pthread_join(thread, NULL);
	check_eq(channel_bytes_in(pair.b), channel_bytes_out(pair.a));
	/* a full socket whose reader does not read */
	while (!channel_write_bytes(pair.a, data, sizeof(data), 10))
		;
	check_eq(channel_write_bytes(pair.a, data, sizeof(data), 10), -ETIMEDOUT);
	channel_free(pair.b);
	check(channel_read(pair.a, data, 1, 100) < 0);
	channel_free(pair.a);
}

int main(void)
{
	test_crc32c();
	test_headers();
	test_ranges();
	test_damage();
	test_lz4();
	test_channel();
	return 0;
}
