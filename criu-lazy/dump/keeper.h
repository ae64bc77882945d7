/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Keepers: when the same pids are wanted again on this host while pages are still owed, the tree
 * has to end, and a process per address space keeps its memory. A keeper shares nothing but the
 * memory, is stopped by ptrace(2) and dies with the dumper.
 */
#ifndef DUMP_KEEPER_H
#define DUMP_KEEPER_H

#include <stdbool.h>
#include <sys/types.h>

struct task;

/* The tree is in our own pid namespace, so somebody may want its pids here. */
bool keeper_is_wanted(const struct task *root);
/* Dumper, task stopped. Its pid in *out; a negative errno, logged as a warning. */
int keeper_make(struct task *task, pid_t *out);
/*
 * Dumper, task stopped, keepers made. A thread that ends writes into memory that somebody else
 * still has: zero at clear_child_tid, and marks in the locks of its robust list (mm_release() of
 * Linux; set_tid_address(2), set_robust_list(2)). Those would be wrong bytes at the destination:
 * all threads forget both. restore() takes that back, for a tree that lives on after all.
 */
int keeper_silence_exit(struct task *task);
void keeper_restore_exit(struct task *task);
/* Ends it; pid 0 is fine. */
void keeper_end(pid_t pid);

#endif
