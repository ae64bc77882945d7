/* SPDX-License-Identifier: GPL-2.0 */
/*
 * userfaultfd(2) with its oddities ironed out. All calls return 0 or -errno, log nothing, and are
 * async-signal-safe (the supervisor uses them after a bare clone).
 *
 *   -EAGAIN  a change of the address space is in flight: read events, try again later
 *   -EEXIST  the (first remaining) page is there already
 *   -ENOENT  no single registered area of this descriptor covers the range; since Linux 6.8 also
 *            when a change of the address space began during the call, because the area is looked
 *            up before the kernel asks for such a change: uffd_covers tells the two apart
 *   -ESRCH   the address space is gone
 *   -ENOMEM  no memory, or the task's memory cgroup is full
 *   -EFAULT  the source cannot be read
 */
#ifndef LAZY_UFFD_H
#define LAZY_UFFD_H

#include <linux/userfaultfd.h>
#include <stdbool.h>
#include <stdint.h>

/* Everything the running kernel offers, asked on a descriptor of our own: UFFD_FEATURE_*. */
int uffd_probe_features(uint64_t *features);
/* May we ask for these? -EPERM: EVENT_FORK takes CAP_SYS_PTRACE in the initial user namespace, also
 * of who may open /dev/userfaultfd. */
int uffd_probe_use(uint64_t features);
/* The handshake on a descriptor received. */
int uffd_enable(int uffd, uint64_t features);
int uffd_register(int uffd, uint64_t start, uint64_t end);
int uffd_wake(int uffd, uint64_t start, uint64_t end);

/* Installs pages; *done is the progress in bytes, also when an error is returned. */
int uffd_copy(int uffd, uint64_t dst, const void *src, uint64_t len, bool wake, uint64_t *done);
int uffd_zero(int uffd, uint64_t dst, uint64_t len, uint64_t *done);
/* Linux 6.6: touching the pages raises SIGBUS, also after the descriptor is closed. */
int uffd_poison(int uffd, uint64_t dst, uint64_t len, uint64_t *done);

/*
 * Asks without changing anything: 0 if one registered area covers [start, end), -ENOENT if not and
 * no event is under way that would explain it, -EAGAIN if one may be, -ESRCH. Works because
 * UFFDIO_CONTINUE looks the area up first and then refuses private memory (on shared memory it may
 * map a page that exists, which is harmless).
 */
int uffd_covers(int uffd, uint64_t start, uint64_t end);

/* Has the address space ended? Looks at any address: what is there is not changed. */
bool uffd_is_gone(int uffd);

#ifndef UFFD_FEATURE_POISON
#define UFFD_FEATURE_POISON (1 << 14)
#endif

#endif
