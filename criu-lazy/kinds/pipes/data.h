/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Inside kinds/pipes/: what is in a pipe or FIFO (pipes-data.img, fifo-data.img).
 *
 * One pipe_data_entry per pipe, followed by its bytes; an empty pipe has one for its size. The
 * lengths of packets (O_DIRECT) are in a field of ours, so that other readers still find all bytes.
 */
#ifndef KINDS_PIPES_DATA_H
#define KINDS_PIPES_DATA_H

#include "kinds/kind.h"

/* Dumper. Once per pipe_id and kind: copies (tee) what is in the pipe; nothing is consumed. */
int pipe_data_dump(struct dump *dump, const struct fd_probe *probe, enum image_kind kind,
		   uint32_t pipe_id);

struct pipe_data; /* where the records of all pipes of an image are */

/* Restorer, plan. An absent image is an empty one. */
int pipe_data_plan(struct restore *restore, enum image_kind kind, struct pipe_data **out);
void pipe_data_free(struct pipe_data *data);
/*
 * Root task. Sizes the pipe behind fd (a writable end of its own, which is left non-blocking) and
 * fills it; is_packet: what is in it is a packet also if there is only one.
 */
int pipe_data_put(const struct pipe_data *data, uint32_t pipe_id, int fd, bool is_packet);

#endif
