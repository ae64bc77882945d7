// SPDX-License-Identifier: GPL-2.0
/* A page server over the test's own memory, honest clients by the dozen, and dishonest ones. */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "options/options.h"
#include "transport/frame.h"
#include "transport/net.h"
#include "transport/provider.h"
#include "transport/server.h"
#include "transport/token.h"
#include "unit.h"
#include "util/scope.h"

enum { PAGES = 1024, CLIENTS = 64, WAIT = 20000 };

static uint8_t *memory;
static uint16_t port;
static struct token token;
static const uint64_t object = 9 << 8 | WIRE_TASK;
static volatile sig_atomic_t stopped;
static const uint32_t features = WIRE_FEATURE_CRC32C | WIRE_FEATURE_LZ4;

static void make_memory(void)
{
	memory = mmap(NULL, PAGES * WIRE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		      -1, 0);
	check(memory != MAP_FAILED);
	for (size_t i = 0; i < PAGES; i++) {
		if (i % 8 == 3)
			continue; /* zeros */
		for (size_t j = 0; j < WIRE_PAGE; j++)
			memory[i * WIRE_PAGE + j] = (uint8_t)(i * 31 + j * (i % 7));
	}
}

static struct channel *dial(void)
{
	struct channel *channel;
	int fd = net_connect(NULL, port, WAIT);

	check(fd >= 0);
	check_eq(channel_new(fd, &channel), 0);
	return channel;
}

static struct channel *greet(enum wire_channel kind, const struct token *shown, uint8_t id,
			     int *status)
{
	struct channel *channel = dial();
	struct wire_record first = { .cmd = WIRE_HELLO,
				     .nr_pages = WIRE_VERSION,
				     .vaddr = WIRE_MAGIC,
				     .dst_id = sizeof(struct wire_hello) };
	struct wire_hello hello = { .channel = kind, .features = features };
	struct wire_welcome welcome;

	memcpy(hello.token, shown->bytes, sizeof(hello.token));
	memset(hello.session, id, sizeof(hello.session));
	check_eq(channel_write_bytes(channel, &first, sizeof(first), WAIT), 0);
	check_eq(channel_write_bytes(channel, &hello, sizeof(hello), WAIT), 0);
	check_eq(channel_read(channel, &welcome, sizeof(welcome), WAIT), 0);
	check(welcome.magic == WIRE_MAGIC && welcome.version == WIRE_VERSION);
	check(!memcmp(welcome.session, hello.session, sizeof(hello.session)));
	*status = welcome.status;
	if (!welcome.status)
		check_eq(welcome.features, features);
	return channel;
}

static void say(struct channel *channel, struct wire_frame frame, enum wire_channel kind)
{
	struct frame_rules rules = { kind, false, features };

	check_eq(frame_send(channel, &rules, &frame, NULL, 0, WAIT), 0);
}

/* Takes one frame of pages, compares it, and says how many pages it was. */
static uint64_t take(struct channel *channel, enum wire_channel kind, struct wire_frame *frame)
{
	struct frame_rules rules = { kind, true, features };
	scoped_free uint8_t *payload = malloc(WIRE_PAYLOAD_MAX);
	scoped_free uint8_t *data = calloc(WIRE_PAGES_MAX, WIRE_PAGE);
	size_t len;

	check_eq(frame_receive(channel, &rules, frame, WAIT), 0);
	check_eq(frame_receive_payload(channel, &rules, frame, payload, WIRE_PAYLOAD_MAX, WAIT), 0);
	if (frame->type != WIRE_F_PAGES && frame->type != WIRE_F_ZERO)
		return 0;
	len = (size_t)frame->nr_pages * WIRE_PAGE;
	if (frame->flags & WIRE_LZ4)
		check_eq(frame_unpack(frame, payload, data), 0);
	else if (frame->type == WIRE_F_PAGES)
		memcpy(data, payload, len);
	check(len <= WIRE_PAGES_MAX * WIRE_PAGE);
	check(frame->vaddr >= (uintptr_t)memory);
	check(frame->vaddr + len <= (uintptr_t)memory + PAGES * WIRE_PAGE);
	check(!memcmp(data, (void *)(uintptr_t)frame->vaddr, len));
	return frame->nr_pages;
}

static void pull_all(struct channel *bulk, uint64_t want)
{
	struct wire_frame frame = { 0 };
	uint64_t got = 0;

	while (frame.type != WIRE_F_END)
		got += take(bulk, WIRE_BULK, &frame);
	check_eq(got, want);
}

static void *client(void *arg)
{
	uint8_t id = (uint8_t)(uintptr_t)arg;
	struct wire_frame frame;
	int status;
	struct channel *demand = greet(WIRE_DEMAND, &token, id, &status);

	check_eq(status, 0);
	struct channel *bulk = greet(WIRE_BULK, &token, id, &status);

	check_eq(status, 0);
	/* Ten pages on demand first: they are not pushed again. */
	say(bulk, (struct wire_frame){ .type = WIRE_F_OWED, .flags = WIRE_ALL }, WIRE_BULK);
	say(bulk, (struct wire_frame){ .type = WIRE_F_PING, .seq = 5 }, WIRE_BULK);
	check_eq(take(bulk, WIRE_BULK, &frame), 0);
	check(frame.type == WIRE_F_PONG && frame.seq == 5);
	for (uint32_t i = 0, got = 0; i < 10; i++, got = 0) {
		struct wire_frame get = { .type = WIRE_F_GET,
					  .object = object,
					  .vaddr = (uintptr_t)memory + (uint64_t)i * 5 * WIRE_PAGE,
					  .nr_pages = 5,
					  .seq = i };

		say(demand, get, WIRE_DEMAND);
		do {
			got += (uint32_t)take(demand, WIRE_DEMAND, &frame);
			check_eq(frame.seq, i);
		} while (!(frame.flags & WIRE_LAST));
		check_eq(got, 5);
	}
	say(bulk, (struct wire_frame){ .type = WIRE_F_START }, WIRE_BULK);
	pull_all(bulk, PAGES - 50);
	say(bulk, (struct wire_frame){ .type = WIRE_F_DONE }, WIRE_BULK);
	take(bulk, WIRE_BULK, &frame);
	check_eq(frame.type, WIRE_F_BYE);
	channel_free(bulk);
	channel_free(demand);
	return NULL;
}

static void *run_server(void *arg)
{
	return (void *)(intptr_t)server_run(arg);
}

static uint32_t next_random(uint32_t *state)
{
	*state = *state * 1664525 + 1013904223;
	return *state >> 8;
}

/* Whatever it is sent, the server drops the connection and goes on. */
static void throw_garbage(uint32_t seed)
{
	struct channel *channel;
	uint8_t bytes[512];
	int status;

	channel = seed % 3 ? greet(seed % 3, &token, 200, &status) : dial();
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)next_random(&seed);
	if (seed % 4 == 0)
		bytes[0] = WIRE_HELLO & 0xff, bytes[1] = WIRE_HELLO >> 8, bytes[2] = bytes[3] = 0;
	channel_write_bytes(channel, bytes, sizeof(bytes), WAIT);
	while (!channel_read(channel, bytes, 1, WAIT))
		;
	channel_free(channel);
}

static void refuse_stranger(void)
{
	struct token wrong = token;
	int status;

	wrong.bytes[31] ^= 1;
	channel_free(greet(WIRE_DEMAND, &wrong, 201, &status));
	check_eq(status, -EACCES);
}

/* A page that the source does not have is told so. */
static void ask_for_nothing(void)
{
	struct wire_frame frame;
	int status;
	struct channel *demand = greet(WIRE_DEMAND, &token, 202, &status);

	for (uint32_t i = 0; i < 2; i++) {
		struct wire_frame get = { .type = WIRE_F_GET,
					  .object = i ? object : object + 256,
					  .vaddr = (uintptr_t)memory + PAGES * WIRE_PAGE,
					  .nr_pages = 3,
					  .seq = i };

		say(demand, get, WIRE_DEMAND);
		take(demand, WIRE_DEMAND, &frame);
		check(frame.type == WIRE_F_GONE && frame.nr_pages == 3 && frame.flags == WIRE_LAST);
	}
	channel_free(demand);
}

/* Loses its bulk channel in the middle; the new one brings all that it then lacks. */
static void come_back(void)
{
	struct wire_frame frame;
	int status;
	struct channel *bulk = greet(WIRE_BULK, &token, 203, &status);

	say(bulk, (struct wire_frame){ .type = WIRE_F_OWED, .flags = WIRE_ALL }, WIRE_BULK);
	say(bulk, (struct wire_frame){ .type = WIRE_F_START }, WIRE_BULK);
	take(bulk, WIRE_BULK, &frame);
	struct channel *again = greet(WIRE_BULK, &token, 203, &status);

	say(again, (struct wire_frame){ .type = WIRE_F_OWED, .flags = WIRE_ALL, .object = object },
	    WIRE_BULK);
	say(again, (struct wire_frame){ .type = WIRE_F_START }, WIRE_BULK);
	pull_all(again, PAGES);
	say(again, (struct wire_frame){ .type = WIRE_F_DONE }, WIRE_BULK);
	take(again, WIRE_BULK, &frame);
	channel_free(again);
	channel_free(bulk);
}

static struct server *start(struct provider **pages, struct options *opts)
{
	struct server_params params = { .opts = opts, .token = &token, .stopped = &stopped };
	struct provider_object *task;
	struct server *server;
	uintptr_t start = (uintptr_t)memory;

	check_eq(provider_new(pages), 0);
	check_eq(provider_add_task(*pages, object, getpid(), open("/proc/self/mem", O_RDONLY),
				   &task),
		 0);
	check_eq(provider_add_range(task, start, start + PAGES / 2 * WIRE_PAGE), 0);
	check_eq(provider_add_range(task, start + PAGES / 2 * WIRE_PAGE, start + PAGES * WIRE_PAGE),
		 0);
	provider_seal(*pages);
	params.pages = *pages;
	check_eq(server_new(&params, &server), 0);
	port = server_port(server);
	check(port);
	return server;
}

int main(void)
{
	pthread_t thread, clients[CLIENTS];
	struct provider *pages;
	struct options opts;
	struct channel *lazy[4];
	void *result;
	int status;

	alarm(120);
	options_init(&opts);
	make_memory();
	memset(token.bytes, 0x77, sizeof(token.bytes));
	struct server *server = start(&pages, &opts);

	check(!pthread_create(&thread, NULL, run_server, server));
	/* Some who ask for all and never read. */
	for (int i = 0; i < 4; i++) {
		lazy[i] = greet(WIRE_BULK, &token, (uint8_t)(210 + i), &status);
		say(lazy[i], (struct wire_frame){ .type = WIRE_F_OWED, .flags = WIRE_ALL },
		    WIRE_BULK);
		say(lazy[i], (struct wire_frame){ .type = WIRE_F_START }, WIRE_BULK);
	}
	for (uintptr_t i = 0; i < CLIENTS; i++)
		check(!pthread_create(&clients[i], NULL, client, (void *)(i + 1)));
	for (uint32_t seed = 0; seed < 60; seed++)
		throw_garbage(seed * 2654435761u);
	refuse_stranger();
	ask_for_nothing();
	come_back();
	for (size_t i = 0; i < CLIENTS; i++)
		pthread_join(clients[i], NULL);
	stopped = 1;
	pthread_join(thread, &result);
	check_eq((intptr_t)result, -EINTR);
	check(server_has_delivered(server));
	for (int i = 0; i < 4; i++)
		channel_free(lazy[i]);
	server_free(server);
	provider_free(pages);
	options_fini(&opts);
	munmap(memory, PAGES * WIRE_PAGE);
	return 0;
}
