// SPDX-License-Identifier: GPL-2.0
#include "transport/token.h"

#include <string.h>
#include <sys/random.h>

#include "lazy-source.pb-c.h"
#include "util/log.h"

int token_create(struct image_dir *images, struct token *out)
{
	LazySourceEntry entry = LAZY_SOURCE_ENTRY__INIT;

	if (getrandom(out->bytes, sizeof(out->bytes), 0) != sizeof(out->bytes))
		return log_errno("token: random bytes");
	entry.token.data = out->bytes;
	entry.token.len = sizeof(out->bytes);
	return image_write_one(images, IMG_LAZY_SOURCE, 0, &entry.base);
}

int token_load(struct image_dir *images, struct token *out)
{
	ProtobufCMessage *msg;
	int ret = image_read_one(images, IMG_LAZY_SOURCE, 0, &lazy_source_entry__descriptor, &msg);

	if (ret)
		return ret;
	const LazySourceEntry *entry = (const LazySourceEntry *)msg;

	if (entry->token.len == sizeof(out->bytes)) {
		memcpy(out->bytes, entry->token.data, sizeof(out->bytes));
	} else {
		log_err("lazy-source.img: a token has %zu bytes, not %zu", sizeof(out->bytes),
			entry->token.len);
		ret = -EBADMSG;
	}
	image_msg_free(msg);
	return ret;
}

bool token_equal(const struct token *a, const struct token *b)
{
	volatile uint8_t differs = 0;

	for (size_t i = 0; i < sizeof(a->bytes); i++)
		differs |= a->bytes[i] ^ b->bytes[i];
	return !differs;
}
