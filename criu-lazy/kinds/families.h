/* SPDX-License-Identifier: GPL-2.0 */
/* The kinds that there are, one line each; their order is in registry.c. */
#ifndef KINDS_FAMILIES_H
#define KINDS_FAMILIES_H

struct kind_ops;

#endif
