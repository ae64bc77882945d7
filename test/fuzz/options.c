// SPDX-License-Identifier: GPL-2.0
/* Byte 0 - 'f': a config file; 'c': words of a command line; 'r': a request of the RPC. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fuzz.h"
#include "options/parse.h"
#include "rpc/rpc.h"

enum { WORDS = 16 };

const struct fuzz_seed fuzz_seeds[] = {
	FUZZ_TEXT("f# comment\nverbosity 4\nlog-file \"a \\\"b\" # end\ntcp-close\nno-shell-job\n"),
	FUZZ_TEXT("fexternal=mnt[a]:b\nghost-limit 5M\ntimeout 9\n"),
	FUZZ_TEXT("cdump\n-t\n12\n-vvv\n--ghost-limit=1k\n-D\nx\n--external\nfile[1:2]"),
	FUZZ_TEXT("crestore\n-d\n--inherit-fd\nfd[3]:pipe[5]\n--\nsh\n-c\ntrue"),
	FUZZ_TEXT("r\x08\x01\x12\x0e\x08\x00\x10\x07\x18\x01\x38\x01\x48\x04\x52\x03log"),
	{ NULL, 0 },
};

void fuzz_begin(void)
{
	fuzz_enter_directory();
	setenv("HOME", "/nonexistent", 1);
}

static void parse_line(char *text, struct options *opts)
{
	char *argv[WORDS + 2] = { (char *)"criu-lazy", (char *)"--no-default-config" };
	int argc = 2;

	for (char *word = strtok(text, "\n"); word && argc <= WORDS; word = strtok(NULL, "\n"))
		argv[argc++] = word;
	argv[argc] = NULL;
	options_parse(argc, argv, opts);
}

static void take_request(const uint8_t *data, size_t len, struct options *opts)
{
	CriuReq *req = criu_req__unpack(NULL, len, data);

	if (req && req->opts && !req->opts->config_file) {
		free(req->opts->images_dir);
		req->opts->images_dir = strdup(".");
		rpc_options(req->opts, getpid(), opts);
	}
	if (req)
		criu_req__free_unpacked(req, NULL);
}

void fuzz_one(const uint8_t *data, size_t len)
{
	struct options opts;
	char *text;

	if (!len)
		return;
	options_init(&opts);
	text = fuzz_string(data + 1, len - 1);
	if (data[0] == 'f') {
		fuzz_put_file("config", NULL, 0, data + 1, len - 1);
		options_read_file("config", &opts);
	} else if (data[0] == 'c') {
		parse_line(text, &opts);
	} else if (data[0] == 'r') {
		take_request(data + 1, len - 1, &opts);
	}
	if (opts.images_dir_fd >= 0)
		close(opts.images_dir_fd);
	if (opts.work_dir_fd >= 0)
		close(opts.work_dir_fd);
	options_fini(&opts);
	free(text);
}
