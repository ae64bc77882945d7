/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Per-task state that is neither memory nor a descriptor, dump side. In the dumper, tree frozen.
 * What returns an int returns 0, or a negative errno with the reason logged.
 */
#ifndef TASK_TASK_DUMP_H
#define TASK_TASK_DUMP_H

#include "dump/dump.h"
#include "seccomp.pb-c.h"
#include "task/facts.h"

struct seccomp_table; /* chains of seccomp filters seen */

/* Allocates facts and reads all that needs no code in the task. Refuses what cannot be restored
 * (-EOPNOTSUPP, logged). Zombies too: they have a stat and a status. */
int task_dump_outside(struct dump *dump, struct task *task, struct seccomp_table *seccomp);
/* Asks the task and each of its threads by injected calls. Not for zombies. */
int task_dump_ask(struct task *task);
/* fs-PID.img: working directory, root, umask. After files_dump_begin(). */
int fs_dump_task(struct dump *dump, struct task *task);
/* core-PID.img of the leader or zombie, core-TID.img of the other threads. */
int core_dump_task(struct dump *dump, const struct task *task);
/* task-ext-PID.img. Not for zombies. */
int ext_dump_task(struct dump *dump, const struct task *task);
/* Releases what task_dump_outside() allocated, dump_task itself excepted. */
void task_dump_free(struct task *task);

/* ---- parts ---------------------------------------------------------------- */

/* Policy, priorities, clamps, I/O priority and affinity of one thread. out->cpus is from malloc(3).
 */
int sched_dump_thread(struct thread *thread, struct sched_facts *out);
/* Pending signals of one thread, or (shared) of its process. */
int signals_dump_queue(pid_t tid, bool shared, struct signal_queue *out);
/* Reads the rseq registration into facts->rseq. 0 (also where the kernel has none) or -errno,
 * logged.
 */
int rseq_dump_thread(struct thread *thread, struct thread_facts *facts);

/* Empty; the caller owns *out. */
int seccomp_table_new(struct seccomp_table **out);
void seccomp_table_free(struct seccomp_table *table);
/* Records the filters of a thread in SECCOMP_MODE_FILTER; *index for thread_core. */
int seccomp_dump_thread(struct seccomp_table *table, const struct thread *thread, uint32_t *index);
/* seccomp.img, with every chain that was recorded; indices are places in it. */
int seccomp_dump_image(const struct seccomp_table *table, struct image_dir *images);

#endif
