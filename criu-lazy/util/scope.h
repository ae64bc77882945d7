/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Scope attributes: a local that owns something releases it when it goes out
 * of scope. Declare and initialise on one line; give ownership away with
 * take_fd() or take_ptr(). Never mixed with goto in one function.
 */
#ifndef UTIL_SCOPE_H
#define UTIL_SCOPE_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void scope_close_fd(const int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void scope_free_ptr(void *p)
{
	free(*(void **)p);
}

static inline void scope_fclose(FILE *const *f)
{
	if (*f)
		fclose(*f);
}

static inline void scope_closedir(DIR *const *d)
{
	if (*d)
		closedir(*d);
}

#define scoped_fd   __attribute__((cleanup(scope_close_fd)))
#define scoped_free __attribute__((cleanup(scope_free_ptr)))
#define scoped_file __attribute__((cleanup(scope_fclose)))
#define scoped_dir  __attribute__((cleanup(scope_closedir)))

/* Moves ownership of *fd to the caller; *fd becomes -1. */
static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

/* Moves ownership of the pointer variable p to the caller; p becomes NULL. */
#define take_ptr(p)                         \
	({                                  \
		__typeof__(p) taken_ = (p); \
		(p) = NULL;                 \
		taken_;                     \
	})

#endif
