/* SPDX-License-Identifier: GPL-2.0 */
/* Values of options: pure parsers. Each returns 0 or -EINVAL and logs nothing. */
#ifndef OPTIONS_VALUES_H
#define OPTIONS_VALUES_H

#include "options/options.h"

/* Decimal digits only, at most max. */
int value_parse_number(const char *text, uint64_t max, uint64_t *out);
/* A number of bytes with an optional suffix K, M or G. */
int value_parse_size(const char *text, uint64_t *out);
/* Appends a copy of text; -ENOMEM. */
int string_list_add(struct string_list *list, const char *text);

/* apply() callbacks of the table; see struct option_spec. */
int apply_verbosity(struct options *opts, const char *value);
int apply_leave_stopped(struct options *opts, const char *value);
int apply_leave_running(struct options *opts, const char *value);
int apply_cpu_cap(struct options *opts, const char *value);
int apply_manage_cgroups(struct options *opts, const char *value);
int apply_network_lock(struct options *opts, const char *value);
int apply_empty_ns(struct options *opts, const char *value);
int apply_pre_dump_mode(struct options *opts, const char *value);
int apply_file_validation(struct options *opts, const char *value);
int apply_on_daemon_loss(struct options *opts, const char *value);
int apply_memory_mode(struct options *opts, const char *value);
int apply_compress(struct options *opts, const char *value);
int apply_nothing(struct options *opts, const char *value);

#endif
