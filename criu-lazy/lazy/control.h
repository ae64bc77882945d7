/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Words to a running daemon: datagrams to a socket in its work directory, which only its user may
 * write to. Each is answered with "ok" or with why not, to the descriptor that came along.
 *
 *   recover PORT HOST    the source is there now (--recover --address HOST --port PORT)
 *   rate N               bytes per second for what is pushed, 0: no limit (--max-bandwidth N)
 *   restored             by restore: its tasks run, and may end when they like
 *   resume               the daemon is dead and its tasks are held (--on-daemon-loss=hold): another
 *                        one is to go on; refused by a daemon that lives
 */
#ifndef LAZY_CONTROL_H
#define LAZY_CONTROL_H

#include <stdbool.h>

#define CONTROL_SOCKET_NAME "lazy-pages-control.socket"

struct lazyd;
struct options;

/* Daemon. Errors are logged; the daemon does without. */
void control_open(struct lazyd *lazyd);
void control_watch(struct lazyd *lazyd);
void control_ready(struct lazyd *lazyd);
void control_close(struct lazyd *lazyd);

/* Supervisor, in place of a dead daemon: answers one message; true if it is "resume". */
bool control_hears_resume(int fd);
/* lazy-pages, where one is already: says "resume". 0: tasks were held, and another daemon goes on;
 * -EALREADY: the daemon lives; -errno. */
int control_resume(int work_dir);

/* Restore, in the work directory: says "restored" to the daemon, if one is there. */
void control_say_restored(void);
/* The other side: lazy-pages --recover. 0 or a negative errno, logged. */
int control_recover(const struct options *opts);

#endif
