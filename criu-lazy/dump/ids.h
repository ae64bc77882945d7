/* SPDX-License-Identifier: GPL-2.0 */
#ifndef DUMP_IDS_H
#define DUMP_IDS_H

#include "core.pb-c.h"

/* Image ids of our own namespaces, in which all tasks are. */
void ids_fill_namespaces(TaskKobjIdsEntry *entry);

#endif
