// SPDX-License-Identifier: GPL-2.0
#include "options/table.h"

#include "options/values.h"

/* A row that sets a member; FLAG takes nothing, the others one argument. */
#define FLAG(group_, letter_, name_, member, ...)                                            \
	{                                                                                    \
		.name = (name_), .letter = (letter_), .group = GROUP_##group_,               \
		.type = OPTION_FLAG, .offset = offsetof(struct options, member), __VA_ARGS__ \
	}
#define VALUE(group_, letter_, name_, type_, member, arg_, ...)                    \
	{                                                                          \
		.name = (name_), .letter = (letter_), .group = GROUP_##group_,     \
		.type = OPTION_##type_, .takes = ARGUMENT_REQUIRED, .arg = (arg_), \
		.offset = offsetof(struct options, member), __VA_ARGS__            \
	}
/* A row whose function decides. */
#define CALL(group_, letter_, name_, takes_, arg_, apply_, ...)                                    \
	{                                                                                          \
		.name = (name_), .letter = (letter_), .group = GROUP_##group_,                     \
		.type = OPTION_CALL, .takes = ARGUMENT_##takes_, .arg = (arg_), .apply = (apply_), \
		__VA_ARGS__                                                                        \
	}
#define HELP(text)	.help = (text)
#define ACCEPTED(note_) .support = OPTION_ACCEPTED, .note = (note_)
#define REFUSED(note_)	.support = OPTION_REFUSED, .note = (note_)

#define SERVERS "lazy-pages page-server service"

const char *const option_group_names[GROUPS_COUNT] = {
	[GROUP_GENERIC] = "Generic",
	[GROUP_LAZY] = "Lazy pages",
	[GROUP_EXTERNAL] = "External resources",
	[GROUP_SPECIAL] = "Special resources",
	[GROUP_CHECK] = "Check",
	[GROUP_LOG] = "Logging",
	[GROUP_MEMORY] = "Memory dumping",
	[GROUP_SERVER] = "Servers",
	[GROUP_MIGRATE] = "Migration",
	[GROUP_CONFIG] = "Configuration files",
	[GROUP_OTHER] = "Other",
};

const struct option_spec option_table[] = {
	VALUE(GENERIC, 't', "tree", PID, tree_pid, "PID", HELP("dump the process tree below PID")),
	VALUE(GENERIC, 'D', "images-dir", STRING, images_dir, "DIR",
	      HELP("directory of the images (default: .)")),
	VALUE(GENERIC, 'W', "work-dir", STRING, work_dir, "DIR",
	      HELP("directory of logs, pid files and sockets (default: that of the images)")),
	FLAG(GENERIC, 'd', "restore-detached", restore_detached,
	     HELP("return when the restored tree runs")),
	FLAG(GENERIC, 'S', "restore-sibling", restore_sibling,
	     HELP("make the restored root a child of our parent")),
	CALL(GENERIC, 's', "leave-stopped", NONE, NULL, apply_leave_stopped,
	     HELP("leave the tree stopped after the dump")),
	CALL(GENERIC, 'R', "leave-running", NONE, NULL, apply_leave_running,
	     HELP("leave the tree running after the dump")),
	VALUE(GENERIC, 0, "pidfile", STRING, pidfile, "FILE",
	      HELP("write the pid of the restored root, or of the daemon, to FILE")),
	FLAG(GENERIC, 0, "check-only", check_only,
	     HELP("restore: read and check every image, create nothing")),
	CALL(GENERIC, 0, "cpu-cap", OPTIONAL, "CAP", apply_cpu_cap,
	     HELP("CPU features to compare: cpu, fpu, ins, all, none; ^CAP removes one"),
	     ACCEPTED("the extended state of every thread is checked against this machine")),
	FLAG(GENERIC, 0, "exec-cmd", want_exec_cmd,
	     HELP("after the restore, execute the command after -- as the tree's parent")),
	VALUE(GENERIC, 0, "freeze-cgroup", STRING, freeze_cgroup, "PATH",
	      HELP("freeze the tasks of a cgroup first")),
	FLAG(GENERIC, 0, "weak-sysctls", weak_sysctls, HELP("skip sysctls the kernel lacks"),
	     ACCEPTED("no sysctl is restored")),
	FLAG(GENERIC, 0, "stream", stream, HELP("images come from criu-image-streamer"),
	     REFUSED("streamed images")),
	FLAG(GENERIC, 0, "mntns-compat-mode", mntns_compat_mode, HELP("restore mounts the old way"),
	     ACCEPTED("mounts are not restored")),
	CALL(GENERIC, 0, "network-lock", REQUIRED, "METHOD", apply_network_lock,
	     HELP("iptables, nftables or skip"),
	     ACCEPTED("nothing is locked: established connections are not kept")),
	FLAG(GENERIC, 0, "unprivileged", unprivileged,
	     HELP("accept the limits of running without root"),
	     ACCEPTED("missing privileges are reported where they matter")),
	FLAG(GENERIC, 0, "allow-uprobes", allow_uprobes, HELP("allow areas made by uprobes"),
	     ACCEPTED("such areas are refused by name")),
	VALUE(GENERIC, 0, "timeout", UINT, timeout, "SECONDS",
	      HELP("how long collecting and freezing tasks may take (default: 10)")),

	FLAG(LAZY, 0, "lazy-pages", lazy_pages,
	     HELP("restore: run at once, memory follows; starts the daemon if none listens")),
	FLAG(LAZY, 0, "progress", progress, HELP("show a bar on the terminal while pages arrive")),
	VALUE(LAZY, 0, "status-file", STRING, status_file, "FILE",
	      HELP("keep FILE up to date (JSON) while pages arrive")),
	FLAG(LAZY, 0, "recover", recover,
	     HELP("lazy-pages: tell the running daemon that its source is at --address and "
		  "--port")),
	CALL(LAZY, 0, "memory-mode", REQUIRED, "MODE", apply_memory_mode,
	     HELP("what comes unasked: working-set (default: what was recorded, then all), "
		  "background (all), demand (nothing)")),
	FLAG(LAZY, 0, "record-working-set", record_working_set,
	     HELP("write down what is touched first; the next lazy restore brings it first")),
	VALUE(LAZY, 0, "source-timeout", UINT, source_timeout, "SECONDS",
	      HELP("without a source for so long it is gone for good; 0: never (default: 300)")),
	CALL(LAZY, 0, "on-daemon-loss", REQUIRED, "POLICY", apply_on_daemon_loss,
	     HELP("when the lazy-pages daemon dies: restart (default), hold or kill its tasks")),

	VALUE(EXTERNAL, 0, "external", LIST, external, "RES",
	      HELP("leave an object to the caller")),
	VALUE(EXTERNAL, 0, "inherit-fd", LIST, inherit_fd, "fd[NUM]:RES",
	      HELP("use our descriptor NUM for RES")),
	CALL(EXTERNAL, 0, "file-validation", REQUIRED, "METHOD", apply_file_validation,
	     HELP("filesize: compare sizes only; buildid: build ids of mapped programs too")),
	FLAG(EXTERNAL, 0, "skip-file-rwx-check", skip_file_rwx_check,
	     HELP("do not compare file permissions")),

	FLAG(SPECIAL, 'j', "shell-job", shell_job,
	     HELP("allow a tree whose session or terminal is not its own")),
	FLAG(SPECIAL, 0, "tcp-close", tcp_close,
	     HELP("restore established TCP connections as closed ones")),
	FLAG(SPECIAL, 0, "tcp-established", tcp_established,
	     HELP("keep established TCP connections"), REFUSED("TCP repair")),
	FLAG(SPECIAL, 0, "skip-in-flight", skip_in_flight,
	     HELP("drop connections that are not accepted yet")),
	VALUE(SPECIAL, 0, "ghost-limit", SIZE, ghost_limit, "SIZE",
	      HELP("largest deleted file to keep in the images (default: 1M)")),
	FLAG(SPECIAL, 0, "ghost-fiemap", ghost_fiemap,
	     HELP("find holes of deleted files by fiemap"),
	     ACCEPTED("holes are found with SEEK_DATA")),
	FLAG(SPECIAL, 0, "link-remap", link_remap,
	     HELP("give an unlinked file with other links a name again")),
	FLAG(SPECIAL, 'l', "file-locks", file_locks, HELP("dump and restore file locks")),
	FLAG(SPECIAL, 0, "evasive-devices", evasive_devices,
	     HELP("use any path to a device if its own is gone"),
	     ACCEPTED("devices are opened by the path they had")),
	VALUE(SPECIAL, 'r', "root", STRING, root, "PATH",
	      HELP("change the root of the restored tree"), REFUSED("mount namespaces")),
	VALUE(SPECIAL, 0, "action-script", LIST, action_scripts, "FILE",
	      HELP("run FILE at each stage")),
	VALUE(SPECIAL, 'L', "libdir", STRING, libdir, "DIR", HELP("directory of plugins"),
	      ACCEPTED("there are no plugins")),
	FLAG(SPECIAL, 0, "force-irmap", force_irmap, HELP("search names of watched inodes"),
	     ACCEPTED("names are taken from the kernel's file handles")),
	VALUE(SPECIAL, 0, "irmap-scan-path", LIST, irmap_scan_paths, "PATH",
	      HELP("where to search them"),
	      ACCEPTED("names are taken from the kernel's file handles")),
	CALL(SPECIAL, 0, "manage-cgroups", OPTIONAL, "MODE", apply_manage_cgroups,
	     HELP("ignore, none, props, soft, full or strict"),
	     ACCEPTED("tasks stay in the restorer's cgroups")),
	VALUE(SPECIAL, 0, "cgroup-root", LIST, cgroup_roots, "[CONTROLLER:]PATH",
	      HELP("another root for a controller"), REFUSED("restoring cgroups")),
	VALUE(SPECIAL, 0, "cgroup-props", LIST, cgroup_props, "TEXT",
	      HELP("cgroup properties to dump"), REFUSED("restoring cgroups")),
	VALUE(SPECIAL, 0, "cgroup-props-file", STRING, cgroup_props_file, "FILE",
	      HELP("the same from a file"), REFUSED("restoring cgroups")),
	VALUE(SPECIAL, 0, "cgroup-dump-controller", LIST, cgroup_controllers, "NAME",
	      HELP("dump this controller only"), REFUSED("restoring cgroups")),
	VALUE(SPECIAL, 0, "cgroup-yard", STRING, cgroup_yard, "PATH",
	      HELP("where cgroups are mounted"), REFUSED("restoring cgroups")),
	VALUE(SPECIAL, 0, "lsm-profile", STRING, lsm_profile, "TYPE:NAME",
	      HELP("security profile of the restored tree"), REFUSED("security profiles")),
	VALUE(SPECIAL, 0, "lsm-mount-context", STRING, lsm_mount_context, "CONTEXT",
	      HELP("mount context of the restored tree"), REFUSED("security contexts")),
	VALUE(SPECIAL, 0, "skip-mnt", LIST, skip_mnt, "PATH", HELP("ignore a mount"),
	      ACCEPTED("mounts are not dumped")),
	VALUE(SPECIAL, 0, "enable-fs", LIST, enable_fs, "NAMES", HELP("allow more file systems"),
	      ACCEPTED("mounts are not dumped")),
	CALL(SPECIAL, 0, "empty-ns", REQUIRED, "net", apply_empty_ns,
	     HELP("make the namespace, leave it empty"), REFUSED("namespaces")),
	VALUE(SPECIAL, 'J', "join-ns", LIST, join_ns, "NS:PID|FILE[,EXTRA]",
	      HELP("restore inside an existing namespace"), REFUSED("namespaces")),

	FLAG(CHECK, 0, "extra", check_extra, HELP("check also for features that help")),
	FLAG(CHECK, 0, "experimental", check_experimental, HELP("check also for new features")),
	FLAG(CHECK, 0, "all", check_all, HELP("check for everything")),
	VALUE(CHECK, 0, "feature", STRING, check_feature, "NAME",
	      HELP("check for one feature; list names them")),

	VALUE(LOG, 'o', "log-file", STRING, log_file, "FILE",
	      HELP("write the log to FILE, relative to the work directory")),
	FLAG(LOG, 0, "log-pid", log_pid, HELP("put the writer's pid on each line")),
	CALL(LOG, 'v', "verbosity", OPTIONAL, "NUM", apply_verbosity,
	     HELP("1 errors, 2 warnings (default), 3 progress, 4 all; -v: one more")),
	FLAG(LOG, 0, "display-stats", display_stats, HELP("print figures at the end")),

	FLAG(MEMORY, 0, "track-mem", track_mem, HELP("track which pages change after the dump"),
	     REFUSED("tracking memory changes")),
	VALUE(MEMORY, 0, "prev-images-dir", STRING, prev_images_dir, "DIR",
	      HELP("images of the dump before, relative to -D"), REFUSED("incremental dumps")),
	FLAG(MEMORY, 0, "auto-dedup", auto_dedup, HELP("punch pages out of older images"),
	     REFUSED("deduplication")),
	CALL(MEMORY, 0, "pre-dump-mode", REQUIRED, "MODE", apply_pre_dump_mode,
	     HELP("splice or read"), ACCEPTED("pages are always read from outside")),
	FLAG(MEMORY, 0, "page-server", page_server, HELP("send pages to a page server")),

	VALUE(SERVER, 0, "address", STRING, address, "ADDR",
	      HELP("service: path of the socket; page server: its address")),
	VALUE(SERVER, 0, "port", PORT, port, "PORT", HELP("port of the page server")),
	VALUE(SERVER, 0, "ps-socket", FD, ps_socket, "FD", HELP("a connected page server socket")),
	FLAG(SERVER, 'd', "daemon", daemon, HELP("go to the background when ready"),
	     .commands = SERVERS),
	VALUE(SERVER, 0, "status-fd", FD, status_fd, "FD",
	      HELP("write one zero byte to FD when ready, then close it")),
	FLAG(SERVER, 0, "tls", tls, HELP("encrypt pages")),
	VALUE(SERVER, 0, "tls-cacert", STRING, tls_cacert, "FILE", HELP("trusted CA")),
	VALUE(SERVER, 0, "tls-cacrl", STRING, tls_cacrl, "FILE", HELP("revocation list")),
	VALUE(SERVER, 0, "tls-cert", STRING, tls_cert, "FILE", HELP("our certificate")),
	VALUE(SERVER, 0, "tls-key", STRING, tls_key, "FILE", HELP("our key")),
	FLAG(SERVER, 0, "tls-no-cn-verify", tls_no_cn_verify, HELP("accept any name")),

	FLAG(SERVER, 0, "allow-compat", allow_compat,
	     HELP("serve CRIU's lazy-pages daemon on other hosts, which shows no token")),
	FLAG(SERVER, 0, "keep-serving", keep_serving,
	     HELP("page-server --lazy-pages: stay for more clients when all are done")),
	VALUE(SERVER, 0, "max-bandwidth", SIZE, max_bandwidth, "RATE",
	      HELP("bytes per second for pages that nobody waits for (K, M, G)")),
	CALL(SERVER, 0, "compress", REQUIRED, "HOW", apply_compress,
	     HELP("pages on the wire: auto (default), lz4 or none")),

	VALUE(MIGRATE, 0, "to", STRING, to_host, "HOST", HELP("migrate: the host to move to")),
	VALUE(MIGRATE, 0, "rsh", STRING, rsh, "COMMAND",
	      HELP("migrate: what runs a command there (default: ssh)")),
	VALUE(MIGRATE, 0, "remote-criu", STRING, remote_criu, "WORDS",
	      HELP("migrate: criu-lazy there, e.g. \"sudo /opt/criu-lazy\" (default: criu-lazy)")),
	VALUE(MIGRATE, 0, "remote-dir", STRING, remote_dir, "DIR",
	      HELP("migrate: directory there, to be kept (default: a new one, removed)")),
	VALUE(MIGRATE, 0, "remote-option", LIST, remote_options, "OPTION",
	      HELP("migrate: an option for the destination alone")),

	VALUE(CONFIG, 0, "config", STRING, config_file, "FILE", HELP("read options from FILE too")),
	FLAG(CONFIG, 0, "no-default-config", no_default_config,
	     HELP("do not read /etc/criu/default.conf and ~/.criu/default.conf")),

	FLAG(OTHER, 0, "ext-unix-sk", ext_unix_sk, HELP("allow unix sockets with a peer outside")),
	FLAG(OTHER, 'h', "help", want_help, HELP("print this text")),
	FLAG(OTHER, 'V', "version", want_version, HELP("print the version")),
};

const size_t option_count = sizeof(option_table) / sizeof(option_table[0]);
