/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Parts of core-*.img, filled from the facts. Arrays come from the heap and belong to the part;
 * its _fini releases them. Everything else is borrowed from the facts.
 */
#ifndef TASK_CORE_PARTS_H
#define TASK_CORE_PARTS_H

#include "core.pb-c.h"
#include "tree/tree.h"

struct thread_facts;
struct task_facts;
struct signal_queue;

struct creds_part {
	CredsEntry entry;
	uint32_t caps[5][2];
};
void creds_dump_part(const struct thread_facts *facts, struct creds_part *part);

struct queue_part {
	SignalQueueEntry entry;
	SiginfoEntry *infos;
	SiginfoEntry **pointers;
};
int queue_dump_part(const struct signal_queue *queue, struct queue_part *part);
void queue_part_fini(struct queue_part *part);

struct actions_part {
	SaEntry entries[64];
	SaEntry *pointers[64];
	size_t count;
};
void actions_dump_part(const struct task_facts *facts, struct actions_part *part);

struct limits_part {
	TaskRlimitsEntry entry;
	RlimitEntry entries[16];
	RlimitEntry *pointers[16];
};
void limits_dump_part(const struct task_facts *facts, struct limits_part *part);

struct timers_part {
	TaskTimersEntry entry;
	ItimerEntry itimers[3];
	PosixTimerEntry *posix;
	PosixTimerEntry **pointers;
};
int timers_dump_part(const struct task *task, struct timers_part *part);
void timers_part_fini(struct timers_part *part);

#endif
