/* SPDX-License-Identifier: GPL-2.0 */
/* A daemon that follows one that died takes over what that had in the journal (journal.h). */
#ifndef LAZY_RECOVER_H
#define LAZY_RECOVER_H

struct lazyd;

/*
 * When the engine is set up and nothing is watched yet but the listener: spaces, segments and
 * counters as they were, messages of the inbox applied, waiting threads woken so that they fault
 * again, descriptors that nobody owns closed, connections of tasks taken up from their first byte.
 * -errno, logged: nothing can be served, and the supervisor must end the tasks.
 */
int recover(struct lazyd *lazyd);

#endif
