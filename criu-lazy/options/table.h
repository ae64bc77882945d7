/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The one option table. Command line, config files, --help, the shell completion and the test that
 * reads the manual all come from it. A new option is a member of struct options and a row here.
 */
#ifndef OPTIONS_TABLE_H
#define OPTIONS_TABLE_H

#include "options/options.h"

enum option_group {
	GROUP_GENERIC,
	GROUP_LAZY,
	GROUP_EXTERNAL,
	GROUP_SPECIAL,
	GROUP_CHECK,
	GROUP_LOG,
	GROUP_MEMORY,
	GROUP_SERVER,
	GROUP_MIGRATE,
	GROUP_CONFIG,
	GROUP_OTHER,
	GROUPS_COUNT,
};

enum option_type {		  /* what it takes, and the type of the member it sets */
		   OPTION_FLAG,	  /* nothing; bool. --no-NAME sets it false */
		   OPTION_STRING, /* char *; the last one wins */
		   OPTION_LIST,	  /* struct string_list; each one is appended */
		   OPTION_UINT,	  /* unsigned int */
		   OPTION_SIZE,	  /* uint64_t bytes; suffix K, M or G */
		   OPTION_PID,	  /* pid_t, positive */
		   OPTION_FD,	  /* int, not negative */
		   OPTION_PORT,	  /* uint16_t */
		   OPTION_CALL,	  /* apply() decides */
};

enum option_support {
	OPTION_WORKS,
	OPTION_ACCEPTED, /* criu's, without effect here; `note` says why that is right */
	OPTION_REFUSED,	 /* criu's, not supported yet; `note` says what is missing */
};

enum option_argument { ARGUMENT_NONE, ARGUMENT_REQUIRED, ARGUMENT_OPTIONAL };

struct option_spec {
	const char *name; /* long name */
	char letter;	  /* short name or 0 */
	enum option_group group;
	enum option_type type;
	enum option_argument takes;
	const char *arg; /* the argument's name in --help */
	const char *help;
	size_t offset; /* in struct options; unused by OPTION_CALL without a member */
	/* OPTION_CALL: value is NULL when none was given. 0, -EINVAL (bad value, not logged) or
	 * -ENOMEM. */
	int (*apply)(struct options *opts, const char *value);
	const char
		*commands; /* the letter means this one for these commands only; NULL: for others */
	enum option_support support;
	const char *note;
};

extern const struct option_spec option_table[];
extern const size_t option_count;
extern const char *const option_group_names[GROUPS_COUNT];

/*
 * By long name: exact, or the only one that starts with it. *negated: it was given as --no-NAME.
 * 0, -ENOENT, or -E2BIG when several start so. Nothing is logged.
 */
int option_find(const char *name, size_t len, const struct option_spec **out, bool *negated);
/* By letter, as `command` (may be NULL) means it; NULL if there is none. */
const struct option_spec *option_find_letter(char letter, const char *command);

/*
 * Sets one option. value NULL: none given. where: "command line", or file and line, for the
 * message. 0 or a negative errno, logged.
 */
int option_apply(struct options *opts, const struct option_spec *spec, const char *value,
		 bool negated, const char *where);

#endif
