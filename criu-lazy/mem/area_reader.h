/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Inside mem/ only: the areas of tasks, in a time that does not grow with their memory where that
 * can be had. To get ready takes a second thread some milliseconds, from before the freeze on.
 */
#ifndef MEM_AREA_READER_H
#define MEM_AREA_READER_H

#include <sys/types.h>

#include "kernel/proc_maps.h"

struct area_reader;

/* NULL: the tree looks small, or it is not to be had. */
struct area_reader *area_reader_start(pid_t root);
/* Whether smaps of this task would take longer than to wait for the reader. */
bool area_reader_is_worth(const struct area_reader *reader, int proc_fd);
/* Task stopped. An error (not logged): take smaps. */
int area_reader_read(struct area_reader *reader, int proc_fd, pid_t pid, struct proc_vmas *out);
void area_reader_free(struct area_reader *reader);

#endif
