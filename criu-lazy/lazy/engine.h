/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The serving daemon's state. One thread, the engine, reads events, owns every owed set and copies
 * pages; because its background pieces are short and it looks for faults between them, it is always
 * awake when a fault comes (a sleeping handler costs 30 us). On further processors copiers
 * (copier.h) help with the background while no task waits for a page.
 */
#ifndef LAZY_ENGINE_H
#define LAZY_ENGINE_H

#include <bsd/sys/queue.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "lazy/copier.h"
#include "lazy/journal.h"
#include "lazy/lazyd.h"
#include "lazy/owed.h"
#include "lazy/protocol.h"
#include "lazy/source.h"
#include "lazy/stats.h"
#include "lazy/workset.h"

#define LAZY_PAGE 4096ull

enum {
	SPACE_ASKED = 64,
	SPACE_ASKED_SHIFT = 58,
	SPACE_STREAMS = 8,
	SPACE_PARKED_MAX = 4096,
	POLL_BATCH = 64
};

struct lazyd;

/* What epoll hands back: the first member of everything that is watched. */
enum watch_kind {
	WATCH_LISTEN,
	WATCH_CONN,
	WATCH_SPACE,
	WATCH_PIDFD,
	WATCH_SUPERVISOR,
	WATCH_SIGNAL,
	WATCH_REMOTE,
	WATCH_CONTROL
};
struct watch {
	enum watch_kind kind;
	void *object;
};

/* A reader that goes through memory in order; its window doubles while it does. */
struct stream {
	uint64_t expected; /* the next fault if it goes on */
	uint64_t window;
	uint64_t start, end; /* still to be copied of the window */
	uint64_t used;	     /* clock for replacement */
};

struct addr_range {
	uint64_t start, end;
};

/* A move or an munmap whose order against a fork is not known yet (race.c). */
struct recent_change {
	uint64_t from, to, len;
	bool is_unmap;
	bool was_target; /* something of ours was mapped at `to` before */
	bool has_left;	 /* all of the source was unmapped: as without MREMAP_DONTUNMAP */
	bool is_owing;	 /* something was owed at either place */
	uint32_t kind;	 /* of what was there */
	uint64_t page_size;
};

struct parked_fault {
	uint64_t addr;
	uint64_t since; /* ns */
	bool is_absent; /* waits for a page that is elsewhere, not for time to pass */
	bool is_stray;	/* nothing is known to be there */
};

/* Is it registered in a child (race.c)? */
struct asked {
	uint64_t addr; /* 0: nothing known */
	bool is_registered;
};

/* One address space: a task announced by hello, or a child of one. */
struct space {
	TAILQ_ENTRY(space) link;
	struct watch watch, pid_watch;
	int uffd;
	int pidfd;	/* -1: unknown */
	int pagemap_fd; /* /proc/PID/pagemap, for guard pages; -1 */
	pid_t host_pid; /* 0: unknown */
	int32_t image_pid;
	int slot; /* in the journal; -1 */
	struct owed owed;
	struct space *parent; /* of a forked one, while that lives */
	int solo_sweeps;      /* background rounds without copiers, after one met an obstacle */
	bool is_forked;
	bool is_gone;	/* the address space is no more */
	bool is_swept;	/* the background has been once around */
	bool is_arming; /* its hello is not answered yet */
	bool is_killed;
	bool is_idle;		       /* all the background could bring is elsewhere */
	bool is_due;		       /* look again at faults that wait for absent pages */
	bool has_absent, has_progress; /* this time around */
	uint64_t born;		       /* ns */
	uint64_t cursor;	       /* background: next address */
	size_t prefetched;	  /* runs of the working set that are not waited for any more */
	uint64_t hold;		  /* ns: no background before, after EAGAIN or ENOMEM */
	uint64_t backoff;	  /* ns: grows while EAGAIN lasts */
	unsigned int nr_refusals; /* EAGAIN without a success between */
	struct stream streams[SPACE_STREAMS];
	uint64_t stream_clock;
	struct blocked blocked;
	bool has_near; /* some stream has pages to copy */
	struct parked_fault *parked;
	size_t nr_parked, parked_room;
	size_t nr_absent; /* of the parked ones */
	struct recent_change *recent;
	size_t nr_recent;
	bool is_young;	  /* forked since the parent was last seen calm */
	bool has_young;	  /* such children */
	bool is_settling; /* asked remembers */
	struct asked asked[SPACE_ASKED];
};

/* A shared segment: one set of bits for all mappings in all spaces. */
struct segment {
	SLIST_ENTRY(segment) link;
	uint64_t shmid;
	struct owed_bits *bits;
};

struct source_ref {
	SLIST_ENTRY(source_ref) link;
	struct lazy_source *source;
};

struct collapse;
struct conn;
struct remote;

struct lazyd {
	const struct options *opts;
	struct image_dir *images;
	int work_dir;
	int listen_fd, epoll_fd, signal_fd;
	int supervisor_pidfd;
	int control_fd; /* -1: none */
	struct watch listen_watch, signal_watch, supervisor_watch, control_watch;
	struct journal *journal;
	struct heap heap;      /* of areas and bits, shared with the supervisor too */
	uint32_t nr_applied;   /* messages of the inbox */
	uint64_t cookie;       /* of the last hello's socket that was settled */
	int32_t cookie_status; /* its answer */
	uint64_t features;     /* UFFD_FEATURE_* in use */
	bool has_poison, has_guard_scan;
	TAILQ_HEAD(, space) spaces;
	LIST_HEAD(, conn) conns;
	SLIST_HEAD(, segment) segments;
	SLIST_HEAD(, source_ref) sources; /* closed at the end */
	SLIST_HEAD(, collapse) collapses; /* when all is done (collapse.h) */
	struct remote *remote;		  /* NULL: all pages are local */
	struct workset workset;		  /* to bring first */
	struct workset workset_first;	  /* before the tasks run (prefetch.h) */
	size_t workset_next;		  /* run */
	struct workset recorded;	  /* --record-working-set */
	bool refill_due;		  /* conn_refill() has something to do */
	uint64_t refill_at;		  /* ns: and then in any case; 0: no */
	bool any_complete;		  /* some space got all of its memory */
	bool is_restored;		  /* the restore has said so */
	uint64_t background_after;	  /* ns: until then the processors are the restore's */
	uint32_t nr_tasks, nr_hellos;
	uint32_t nr_lost; /* connections that ended without a hello, or with one that was refused */
	bool is_short_of_fds; /* said once */
	bool is_leaving;      /* SIGTERM or SIGINT: finish and go */
	uint64_t last_fault;  /* ns */
	uint64_t last_report;
	uint64_t quiet_since; /* ns: nobody is served or connected, yet not all have come */
	struct copier copiers[COPIERS_MAX];
	int nr_copiers;
	char *huge_buffer; /* one huge page put together */
	uint64_t huge_size;
	int error;
	struct lazy_stats stats;
};

/* engine.c */
int engine_run(struct lazyd *lazyd);
int engine_watch(struct lazyd *lazyd, int fd, struct watch *watch, enum watch_kind kind,
		 void *object);
/* A descriptor that stays open when its object goes. */
void engine_unwatch(struct lazyd *lazyd, int fd);

/* hello.c: connections of restored tasks. Errors are answered and logged; nobody else is harmed. */
void conn_accept(struct lazyd *lazyd);
/* A dead daemon had accepted it. */
void conn_adopt(struct lazyd *lazyd, int fd /* taken */);
void conn_ready(struct lazyd *lazyd, struct conn *conn);
void conn_close(struct lazyd *lazyd, struct conn *conn);
/* Pages have come (refill_due): whose eager pages were absent may be answered now. Frees. */
void conn_refill(struct lazyd *lazyd);

/* space.c */
struct space *space_new(struct lazyd *lazyd, int uffd /* taken */);
/* Names the process: opens pidfd and pagemap. */
void space_identify(struct lazyd *lazyd, struct space *space, pid_t pid);
/* The same with a pidfd that there is already; the process may be another one by now. */
void space_follow(struct lazyd *lazyd, struct space *space, pid_t pid, int pidfd /* taken */);
/* Looks for the pid of a forked space; tid_hint (may be 0): a thread of it, as it calls itself. */
void space_find_pid(struct lazyd *lazyd, struct space *space, pid_t tid_hint);
/* Applies message `number` of the inbox, and commits. */
void space_apply(struct lazyd *lazyd, struct space *space, uint32_t number);
/* Reads and applies everything there is, then serves the faults. */
void space_read(struct lazyd *lazyd, struct space *space);
/* Unregisters, drains and closes. The space is freed. */
void space_end(struct lazyd *lazyd, struct space *space);
/*
 * An area owes nothing any more: its bits are given back. It stays registered until all of the
 * space is complete, for a part that is not would be an area of its own to the kernel, and
 * mremap(2) refuses to cross from one into another.
 */
void space_finish_area(struct space *space, struct owed_area *area);
/* Cannot go on without a wrong byte: the task is killed and the reason logged. */
void space_kill(struct lazyd *lazyd, struct space *space, const char *reason, uint64_t addr);

/*
 * race.c: changes against forks. Each is called before the owed set is changed, race_fork after the
 * child has its own; race_calm when a copy has succeeded. 0 or -ENOMEM.
 */
int race_unmap(struct lazyd *lazyd, struct space *space, uint64_t start, uint64_t end);
int race_remap(struct lazyd *lazyd, struct space *space, uint64_t from, uint64_t to, uint64_t len);
int race_fork(struct lazyd *lazyd, struct space *parent, struct space *child);
void race_calm(struct lazyd *lazyd, struct space *space);
/* May an event to come still say that the child has its memory elsewhere? */
bool race_is_open(struct lazyd *lazyd, struct space *space);

/* fill.c */
/* Takes back what the space's copiers (NULL: those that are ready) have done. With a space, none
 * copies into it when this returns. */
void fill_reap(struct lazyd *lazyd, struct space *space);
void fill_fault(struct lazyd *lazyd, struct space *space, uint64_t addr, uint64_t since);
void fill_parked(struct lazyd *lazyd, struct space *space);
/* Installs what is owed of [start, end) before the task runs. 0 or -errno; -EINPROGRESS: some of it
 * is absent, and asked for. */
int fill_eager(struct lazyd *lazyd, struct space *space, uint64_t start, uint64_t end);
/* One bounded piece of the working set; false: it is all brought, or not here. */
bool fill_workset(struct lazyd *lazyd);
/* While the working set is recorded, what is not asked for waits until the tasks are quiet. */
bool fill_may_run_ahead(const struct lazyd *lazyd);
/* No fault has come lately: pieces may be large. */
bool fill_is_quiet(const struct lazyd *lazyd);
/* One bounded piece; false: nothing to do now. Sets space->is_gone, or ends areas. */
bool fill_near(struct lazyd *lazyd, struct space *space);
bool fill_background(struct lazyd *lazyd, struct space *space);
/* Pages of [start, end) in one area have come from elsewhere: delivers those that are owed. */
void fill_landed(struct lazyd *lazyd, struct space *space, struct owed_area *area, uint64_t start,
		 uint64_t end, enum lazy_cause cause);

#endif
