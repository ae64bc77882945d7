/* SPDX-License-Identifier: GPL-2.0 */
/* Turns what a blob says of its failure into one sentence. */
#ifndef RESTORE_BLOB_ERROR_H
#define RESTORE_BLOB_ERROR_H

#include "blob/restorer_args.h"
#include "restore/restore.h"

/* Logs it if a blob has failed (hosted code logs its own). Returns its error, or -ECANCELED. */
int blob_error_log(const struct restore *restore, const struct restorer_error *error);

#endif
