/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Huge pages again. UFFDIO_COPY installs base pages only, and while an area is registered the
 * kernel refuses to collapse it (UFFD.md 35), so areas are remembered when their userfaultfd is
 * closed, and collapsed when the daemon has nothing else to do any more: MADV_COLLAPSE on another
 * process, Linux 6.1. Best effort: what is left is khugepaged's.
 */
#ifndef LAZY_COLLAPSE_H
#define LAZY_COLLAPSE_H

struct lazyd;
struct space;

/* Notes the areas of a complete space that are advised to be in huge pages, and takes its pidfd. */
void collapse_note(struct lazyd *lazyd, struct space *space);

/*
 * Collapses what was noted, for not more than a quarter of a second in all, and forgets it. Only
 * where at least half of a huge page is there and nobody else's too: no task is made to use more
 * than twice its memory.
 */
void collapse_all(struct lazyd *lazyd);

#endif
