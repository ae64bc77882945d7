/* SPDX-License-Identifier: GPL-2.0 */
/* Inside the restorer blob: who runs a list, and the operations that are more than a call. */
#ifndef BLOB_RESTORER_RESTORER_H
#define BLOB_RESTORER_RESTORER_H

#include "blob/restorer_args.h"

struct runner {
	struct restorer_args *args;
	struct restorer_shared *shared;
	int32_t tid;
};

/* Tells the restorer and never returns: it will kill us. */
void __attribute__((noreturn))
runner_fail(struct runner *runner, const struct restorer_call *call, uint32_t what, long err);
/* Runs a list to its end; then runner_park() says so and waits to be seized. */
void runner_run(struct runner *runner, const struct restorer_call *calls, uint32_t nr_calls);
void __attribute__((noreturn)) runner_park(struct runner *runner);

/* To the restorer: something of struct restorer_shared is news. */
void runner_tell(struct runner *runner);

void fill_pages(struct runner *runner, const struct restorer_call *call);
void lazy_hand_over(struct runner *runner, const struct restorer_call *call);
void threads_start(struct runner *runner, const struct restorer_call *call);
void threads_join(struct runner *runner);
void threads_follow(struct runner *runner);
void timer_make(struct runner *runner, const struct restorer_call *call);

#endif
