// SPDX-License-Identifier: GPL-2.0
/* The option table is consistent, and words become the values they should. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include "options/parse.h"
#include "options/table.h"
#include "options/values.h"
#include "util/log.h"

static void table_is_consistent(void)
{
	for (size_t i = 0; i < option_count; i++) {
		const struct option_spec *spec = &option_table[i], *found;
		bool negated;

		check_eq(option_find(spec->name, strlen(spec->name), &found, &negated), 0);
		check(found == spec && !negated);
		check(spec->help && *spec->help);
		check((spec->takes == ARGUMENT_NONE) == !spec->arg);
		check((spec->type == OPTION_CALL) == !!spec->apply);
		check(spec->offset < sizeof(struct options));
		check((spec->support == OPTION_WORKS) == !spec->note);
		check(spec->type != OPTION_FLAG || spec->takes == ARGUMENT_NONE);
		for (size_t j = 0; spec->letter && j < i; j++)
			check(option_table[j].letter != spec->letter || spec->commands ||
			      option_table[j].commands);
	}
}

/* Parses the words given, up to NULL, without default config files. */
static int parse(struct options *opts, ...)
{
	static char *argv[16] = { "criu-lazy",
				  "--no-default-config" }; /* exec_cmd points into it */
	int argc = 2;
	va_list args;

	va_start(args, opts);
	while ((argv[argc] = va_arg(args, char *)))
		argc++;
	va_end(args);
	options_fini(opts);
	return options_parse(argc, argv, opts);
}

static void words_become_values(struct options *opts)
{
	check_eq(parse(opts, "dump", "-t", "12", "-D/x", "--work-dir=/y", "-jR", NULL), 0);
	check_eq(opts->tree_pid, 12);
	check(!strcmp(opts->images_dir, "/x") && !strcmp(opts->work_dir, "/y"));
	check(opts->shell_job && opts->final_state == FINAL_RUNNING);
	check_eq(parse(opts, "dump", "-R", "-s", NULL), 0);
	check_eq(opts->final_state, FINAL_STOPPED);
	check_eq(parse(opts, "restore", "-v", NULL), 0);
	check_eq(opts->verbosity, 3);
	check_eq(parse(opts, "-vvvv", "restore", NULL), 0);
	check_eq(opts->verbosity, 4);
	check_eq(parse(opts, "restore", "-v1", NULL), 0);
	check_eq(opts->verbosity, 1);
	check_eq(parse(opts, "restore", "-verbosity=0", NULL), 0);
	check_eq(opts->verbosity, 0);
	check_eq(parse(opts, "restore", "--verbosity=3", "--verbosity", NULL), 0);
	check_eq(opts->verbosity, 4);
	check_eq(parse(opts, "restore", "--ghost-limit", "2M", "--tcp-close", "--no-tcp-close",
		       NULL),
		 0);
	check_eq(opts->ghost_limit, 2 << 20);
	check(!opts->tcp_close);
	check_eq(parse(opts, "restore", "--lazy", "--display-st", NULL), 0);
	check(opts->lazy_pages && opts->display_stats);
	check_eq(parse(opts, "swrk", "3", "--", "-t", "x", NULL), 0);
	check(opts->words.count == 1 && !strcmp(opts->words.items[0], "3"));
	check(!strcmp(opts->exec_cmd[0], "-t"));
}

/* -d means one thing to a restore and another to a server, before and after the command. */
static void letter_depends_on_command(struct options *opts)
{
	check_eq(parse(opts, "restore", "-d", NULL), 0);
	check(opts->restore_detached && !opts->daemon);
	check_eq(parse(opts, "-d", "lazy-pages", NULL), 0);
	check(!opts->restore_detached && opts->daemon);
	check_eq(parse(opts, "page-server", "-d", NULL), 0);
	check(!opts->restore_detached && opts->daemon);
}

static void bad_words_are_refused(struct options *opts)
{
	static char *const bad[][2] = {
		{ "-t", NULL },
		{ "-t", "x" },
		{ "-t", "0" },
		{ "-t", "-1" },
		{ "-t", "2147483648" },
		{ "--status-fd", "99999999999" },
		{ "--nosuch", NULL },
		{ "-Z", NULL },
		{ "--lazy-pages=1", NULL },
		{ "-vx", NULL },
		{ "--ghost-limit", "1T" },
		{ "--ghost-limit", "K" },
		{ "--cgroup", NULL },
		{ "--network-lock", "no" },
		{ "--no-tree", NULL },
		{ "--cpu-cap=some", NULL },
		{ "--config", "/nonexistent/x" },
		{ "--ghost-limit", "18446744073709551616" },
	};

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		check(parse(opts, "dump", bad[i][0], bad[i][1], NULL) < 0);
}

static int read_text(struct options *opts, const char *text)
{
	char path[] = "/tmp/options-test-XXXXXX";
	int fd = mkstemp(path);
	int ret;

	check(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
	options_fini(opts);
	ret = options_read_file(path, opts);
	unlink(path);
	return ret;
}

static void files_are_read(struct options *opts)
{
	check_eq(read_text(opts,
			   "# a comment\n\n tcp-close # why not\nlog-file \"a \\\"b\\\".log\"\n"
			   "ghost-limit 4K\nno-lazy-pages\nwork-dir /a b # c\n"),
		 0);
	check(opts->tcp_close && opts->ghost_limit == 4096 && !opts->lazy_pages);
	check(!strcmp(opts->log_file, "a \"b\".log"));
	check(!strcmp(opts->work_dir, "/a b"));
	check(read_text(opts, "nosuch\n") < 0);
	check(read_text(opts, "tcp-clo\n") < 0);
	check(read_text(opts, "log-file\n") < 0);
	check(read_text(opts, "log-file \"x\n") < 0);
	check(read_text(opts, "tcp-close yes\n") < 0);
	check_eq(options_read_file("/nonexistent/x", opts), -ENOENT);
}

int main(void)
{
	struct options opts;

	log_setup(open("/dev/null", O_WRONLY), LOG_LEVEL_NONE, false);
	options_init(&opts);
	table_is_consistent();
	words_become_values(&opts);
	letter_depends_on_command(&opts);
	bad_words_are_refused(&opts);
	files_are_read(&opts);
	options_fini(&opts);
	return 0;
}
