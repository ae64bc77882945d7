/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The token of an image set (lazy-source.img): random bytes that a lazy dump writes into it. Who
 * can show them has the images, and may have the pages that are still at their source.
 */
#ifndef TRANSPORT_TOKEN_H
#define TRANSPORT_TOKEN_H

#include <stdbool.h>
#include <stdint.h>

#include "image/image.h"
#include "transport/wire.h"

struct token {
	uint8_t bytes[WIRE_TOKEN_SIZE];
};

/* Makes one and writes it into the set. Logged. */
int token_create(struct image_dir *images, struct token *out);
/* -ENOENT, not logged: the set has none (CRIU made it). -EBADMSG, logged: it is damaged. */
int token_load(struct image_dir *images, struct token *out);
/* Takes the same time whatever the bytes are. */
bool token_equal(const struct token *a, const struct token *b);

#endif
