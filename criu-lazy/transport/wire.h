/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What travels between the ends of a post-copy migration; Documentation/post-copy.md tells the
 * story. Two protocols share one port. All integers are little endian, as x86-64 and aarch64 have
 * them; pages are 4096 bytes.
 *
 * Compatible protocol: CRIU's page server. A stream of struct wire_record, some followed by pages.
 *
 * Own protocol: a connection that begins with a record whose cmd is WIRE_HELLO. The hello body
 * follows, the server answers with a struct wire_welcome, and from then on both sides send struct
 * wire_frame, each followed by its payload. A client has one connection of each enum wire_channel;
 * the session id, which the client makes up, tells that they belong together.
 */
#ifndef TRANSPORT_WIRE_H
#define TRANSPORT_WIRE_H

#include <stddef.h>
#include <stdint.h>

#define WIRE_PAGE 4096u

/* ---- compatible protocol ------------------------------------------------- */

struct wire_record {
	uint32_t cmd; /* enum wire_cmd; pagemap flags in the high 16 bits of ADD_F */
	uint32_t pad;
	uint64_t nr_pages;
	uint64_t vaddr;
	uint64_t dst_id; /* wire_object(); the bare image id in GET */
};
_Static_assert(sizeof(struct wire_record) == 32, "CRIU's record");

enum wire_cmd {
	WIRE_ADD = 1, /* followed by nr_pages pages */
	WIRE_HOLE = 2,
	WIRE_OPEN = 3,
	WIRE_OPEN2 = 4,	 /* answered by a byte: 1 if the receiver has a parent image */
	WIRE_PARENT = 5, /* the same question without opening anything */
	WIRE_ADD_F = 6,	 /* followed by pages if the flags have PE_PRESENT */
	WIRE_GET = 7,	 /* answered by an ADD_F record and its pages */
	WIRE_CLOSE = 0x1023,
	WIRE_FORCE_CLOSE = 0x1024, /* both answered by an i32 status */
	WIRE_HELLO = 0x4c50,	   /* ours: see above */
};

#define WIRE_CMD_MASK	 0xffffu
#define WIRE_FLAGS_SHIFT 16

enum wire_object_type {
	WIRE_TASK = 1,	/* id: image pid; addresses are virtual addresses */
	WIRE_SHMEM = 2, /* id: shmid; addresses are offsets in the segment */
};

static inline uint64_t wire_object(enum wire_object_type type, uint64_t id)
{
	return id << 8 | type;
}

static inline uint64_t wire_object_id(uint64_t object)
{
	return object >> 8;
}

static inline unsigned int wire_object_type(uint64_t object)
{
	return object & 0xff;
}

/* ---- own protocol: handshake ---------------------------------------------- */

#define WIRE_VERSION   1u
#define WIRE_MAGIC     0x3176797a616c6363ull /* "cclazyv1" as bytes */
#define WIRE_HELLO_MAX 4096u		     /* longest hello body, so that later ones may grow */

enum { WIRE_TOKEN_SIZE = 32, WIRE_SESSION_SIZE = 16 };

enum wire_channel {
	WIRE_DEMAND = 1, /* GET and its answers, nothing else ever */
	WIRE_BULK = 2,	 /* pushed pages, and what the client has to say about them */
};

enum wire_feature {
	WIRE_FEATURE_LZ4 = 1 << 0,    /* payloads may be compressed */
	WIRE_FEATURE_CRC32C = 1 << 1, /* frames carry a checksum */
};

/*
 * The first record: cmd WIRE_HELLO, nr_pages WIRE_VERSION, vaddr WIRE_MAGIC, dst_id the bytes of
 * this body that follow (sizeof to WIRE_HELLO_MAX; what is beyond sizeof is skipped).
 */
struct wire_hello {
	uint8_t token[WIRE_TOKEN_SIZE]; /* of the image set (transport/token.h); zeros: none */
	uint8_t session[WIRE_SESSION_SIZE];
	uint32_t channel;  /* enum wire_channel */
	uint32_t features; /* wanted, enum wire_feature */
	uint32_t flags;	   /* 0 */
	uint32_t reserved;
};
_Static_assert(sizeof(struct wire_hello) == 64, "no padding");

struct wire_welcome {
	uint64_t magic;	   /* WIRE_MAGIC */
	uint32_t version;  /* what is spoken from now on */
	int32_t status;	   /* 0, or a negative errno; the server closes then */
	uint32_t features; /* those wanted that the server will use */
	uint32_t reserved;
	uint8_t session[WIRE_SESSION_SIZE]; /* the hello's */
};
_Static_assert(sizeof(struct wire_welcome) == 40, "no padding");

/* ---- own protocol: frames ------------------------------------------------- */

enum wire_frame_type {
	/* DEMAND, client: nr_pages from vaddr of object. The answer is any number of PAGES, ZERO
	 * and GONE frames with the same seq that cover exactly these pages, each page once; the
	 * last of them has WIRE_LAST. Many GETs may be under way; answers to different ones may
	 * come mixed. */
	WIRE_F_GET = 1,
	/* Both, server. Payload: the pages, or with WIRE_LZ4 one lz4 block that makes them. */
	WIRE_F_PAGES = 2,
	WIRE_F_ZERO = 3, /* the pages hold zeros; no payload */
	WIRE_F_GONE = 4, /* the pages cannot be had, ever; reserved for what the source has lost */
	/* Both, either side; answered by PONG with the same seq. */
	WIRE_F_PING = 5,
	WIRE_F_PONG = 6,

	/* BULK, client. Payload: struct wire_range array, in ascending order. */
	WIRE_F_OWED = 16, /* push these; with WIRE_ALL (no payload) all the source has of object,
			   * and with object 0 all objects. Adds to what was said before. */
	WIRE_F_PRIORITY = 17, /* push these first, in the order given (any order); must be owed */
	WIRE_F_DROP = 18,     /* not needed any more (WIRE_ALL as above) */
	WIRE_F_CONFIRM = 19,  /* arrived and delivered or stored (WIRE_ALL as above) */
	/* BULK, client, no payload. */
	WIRE_F_START = 20, /* all of OWED and PRIORITY said so far: push */
	WIRE_F_RATE = 21,  /* vaddr: bytes per second from now on, all clients; 0: no limit */
	WIRE_F_DONE = 22,  /* this client has everything it wants; answered by BYE */
	/* BULK, server, no payload. */
	WIRE_F_END = 32, /* all that was owed so far is sent on this connection */
	WIRE_F_BYE = 33, /* the answer to DONE; the source releases what only this client wanted */
};

enum wire_frame_flag {
	WIRE_LAST = 1 << 0, /* of the answer to one GET */
	WIRE_LZ4 = 1 << 1,
	WIRE_ALL = 1 << 2,
};

struct wire_frame {
	uint32_t type;
	uint32_t flags;
	uint64_t object; /* wire_object() */
	uint64_t vaddr;	 /* page aligned */
	uint32_t nr_pages;
	uint32_t payload; /* bytes that follow */
	/* With WIRE_FEATURE_CRC32C: of the header with this field 0, then of the payload as it is
	 * sent. 0 without. */
	uint32_t crc32c;
	uint32_t seq; /* GET, PING: the client's choice; answers repeat it; bulk: 0 */
};
_Static_assert(sizeof(struct wire_frame) == 40, "no padding");

struct wire_range {
	uint64_t vaddr;
	uint64_t nr_pages; /* not 0; the range ends below 2^63 */
};
_Static_assert(sizeof(struct wire_range) == 16, "no padding");

enum {
	WIRE_PAGES_MAX = 256,		   /* in one PAGES frame: 1 MiB */
	WIRE_GET_MAX = 4096,		   /* pages of one GET */
	WIRE_PAYLOAD_MAX = 1 << 20,	   /* of any frame */
	WIRE_RANGES_MAX = (64 << 10) / 16, /* in one OWED, PRIORITY, DROP, CONFIRM */
};

#endif
