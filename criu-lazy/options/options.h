/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Every option's value. Filled by options/ from config files, the command line
 * or RPC, through one table; read-only afterwards.
 */
#ifndef OPTIONS_OPTIONS_H
#define OPTIONS_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct string_list {
	char **items;
	size_t count;
};

enum final_state { FINAL_KILL, FINAL_STOPPED, FINAL_RUNNING };

/*
 * Somebody who wants to know when a dump or a restore reaches a stage (an RPC client). Called in
 * the process that runs the command, which waits for it. pid: the root task as we see it, 0 where
 * there is none. Not 0: the command fails, except at "post-resume", when it is too late. Logged by
 * the one who fails.
 */
struct stage_hook {
	int (*call)(void *ctx, const char *stage, pid_t pid);
	void *ctx;
};

/* What happens to tasks that still owe pages when the lazy-pages daemon dies. */
enum daemon_loss { DAEMON_LOSS_RESTART, DAEMON_LOSS_HOLD, DAEMON_LOSS_KILL };

/* --memory-mode: what is brought without being asked for. */
enum memory_mode { MEMORY_MODE_WORKING_SET, MEMORY_MODE_BACKGROUND, MEMORY_MODE_DEMAND };

/* --compress: pages on their way to another host */
enum compress_mode { COMPRESS_AUTO, COMPRESS_LZ4, COMPRESS_NONE };

struct options {
	char *command;		     /* the first word that is no option; NULL if there was none */
	struct string_list words;    /* the words after it: "swrk 3", "cpuinfo dump" */
	struct string_list accepted; /* names of options given that have no effect here */
	bool want_help, want_version, want_exec_cmd;
	bool no_default_config; /* --no-default-config */
	char *config_file;	/* --config */
	pid_t tree_pid;		/* -t */
	char *images_dir;	/* -D; "." */
	int images_dir_fd;	/* RPC; -1 */
	char *work_dir;		/* -W; the images directory */
	int work_dir_fd;	/* RPC; -1 */
	char *prev_images_dir;	/* --prev-images-dir, relative to the images directory */
	char *log_file;		/* -o; NULL: standard error */
	char *pidfile;		/* --pidfile */
	char *root;		/* -r */
	char *address;		/* --address */
	char *freeze_cgroup;	/* --freeze-cgroup */
	char **exec_cmd;	/* after --, for restore --exec-cmd; NULL terminated, or NULL */
	uint16_t port;		/* --port */
	int ps_socket;		/* --ps-socket; -1 */
	int status_fd;		/* --status-fd; -1 */
	unsigned int verbosity; /* -v; enum log_level, default LOG_LEVEL_WARN */
	bool log_pid;
	enum final_state final_state; /* -s, -R */
	bool restore_detached;	      /* -d */
	bool restore_sibling;	      /* -S */
	bool shell_job;		      /* -j */
	bool tcp_established, tcp_close, skip_in_flight;
	bool lazy_pages;
	bool page_server;
	bool daemon; /* -d of lazy-pages, page-server, service */
	bool track_mem, auto_dedup, pre_dump;
	bool file_locks, link_remap, evasive_devices, ext_unix_sk;
	bool display_stats;
	bool check_only;
	bool progress; /* --progress: bar even if not verbose, on a terminal */
	bool check_extra, check_all, check_experimental;
	char *check_feature; /* --feature */
	bool unprivileged, weak_sysctls, force_irmap, ghost_fiemap, skip_file_rwx_check;
	bool stream, mntns_compat_mode, allow_uprobes;
	uint64_t ghost_limit; /* bytes; 1 MiB */
	unsigned int timeout; /* seconds; 10 */
	unsigned int cpu_cap;
	unsigned int manage_cgroups;	 /* enum criu_cg_mode */
	unsigned int network_lock;	 /* enum criu_network_lock_method */
	unsigned int empty_ns;		 /* CLONE_NEW* mask */
	const struct stage_hook *hook;	 /* borrowed; NULL: nobody asked */
	enum daemon_loss on_daemon_loss; /* --on-daemon-loss */
	enum memory_mode memory_mode;	 /* --memory-mode */
	bool recover;			 /* --recover: tell a running daemon */
	bool record_working_set;	 /* --record-working-set */
	unsigned int source_timeout;	 /* --source-timeout: seconds; 300 */
	char *status_file; /* --status-file: JSON, rewritten while lazy pages arrive */
	struct string_list external, inherit_fd, join_ns, skip_mnt, enable_fs, irmap_scan_paths,
		cgroup_roots, cgroup_props, cgroup_controllers, action_scripts;
	char *cgroup_props_file, *cgroup_yard, *lsm_profile, *lsm_mount_context, *libdir;
	char *file_validation;
	char *tls_cacert, *tls_cacrl, *tls_cert, *tls_key;
	bool tls, tls_no_cn_verify;
	bool allow_compat;	/* --allow-compat */
	bool keep_serving;	/* --keep-serving */
	uint64_t max_bandwidth; /* --max-bandwidth, bytes per second; 0: no limit */
	enum compress_mode compress;
	char *to_host, *rsh;		/* --to, --rsh */
	char *remote_criu, *remote_dir; /* --remote-criu, --remote-dir */
	struct string_list remote_options;
	/* Set by migrate, not by the user. */
	bool keep_tree;	     /* dump --lazy-pages: nobody wants its pids here, so no keepers */
	bool awaits_restore; /* lazy-pages: the source is done only after "restored" */
};

/* options/options.c. Defaults; owns nothing yet. */
void options_init(struct options *opts);
/* Frees every string and list; descriptors are not closed. */
void options_fini(struct options *opts);

#endif
