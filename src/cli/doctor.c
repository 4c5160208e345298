/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmlan doctor: what this machine allows. Each check does the thing itself, in a child, rather than
 * looking for signs of it; a check that fails says what cures it.
 */
#include "cli/doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/wait.h>

#include "base/paths.h"
#include "base/program.h"
#include "cli/session.h"
#include "config/networks.h"
#include "kernel/nft.h"
#include "kernel/ns.h"
#include "kernel/rtnl.h"
#include "kernel/tap.h"

static int check_runtime(struct error *error)
{
    struct sockaddr_un longest;
    char path[PATHS_MAX];
    int r = paths_runtime(path, error);

    if (r >= 0)
        r = paths_socket(&longest, error, "net/shared/datagram.sock");
    if (r < 0)
        return r;
    if (access(path, W_OK | X_OK) == 0)
        return 0;
    error_system(error, -errno, "the runtime directory %s can't be written", path);
    error_hint(error, "let this user write it, or set VMLAN_RUNTIME_DIR");
    return error->code;
}

static int check_state(struct error *error)
{
    char path[PATHS_MAX];

    return paths_state(path, error);
}

static int check_namespaces(struct error *error)
{
    return ns_unshare(error);
}

static int check_bridge(struct error *error)
{
    OWN(rtnl) struct rtnl *rtnl = NULL;
    struct rtnl_link link = {.name = "probe"};
    int r = ns_unshare(error);

    if (r >= 0)
        r = rtnl_open(&rtnl, error);
    if (r >= 0 && (r = rtnl_add_bridge(rtnl, &link, error)) < 0)
        error_hint(error, "the kernel needs CONFIG_BRIDGE; as root: modprobe bridge");
    return r;
}

/* One that every network changes. */
static int check_settings(struct error *error)
{
    int r = ns_unshare(error);

    return r < 0 ? r : ns_setting("net/ipv4/ip_forward", "1", error);
}

static int check_veth(struct error *error)
{
    OWN(rtnl) struct rtnl *rtnl = NULL;
    OWN(ns) struct ns ns = NS_NULL;
    struct rtnl_link here = {.name = "probe"}, there = {.name = "eth0"};
    int r = ns_unshare(error);

    if (r >= 0)
        r = ns_make(&ns, error);
    if (r >= 0)
        r = rtnl_open(&rtnl, error);
    if (r >= 0 && (r = rtnl_add_veth(rtnl, &here, &there, ns.net, error)) < 0)
        error_hint(error, "the kernel needs CONFIG_VETH; as root: modprobe veth");
    return r;
}

static int check_tap(struct error *error)
{
    int fd, r = ns_unshare(error);

    if (r >= 0)
        r = tap_open("probe", 1, &fd, error);
    return r;
}

static int check_tproxy(struct error *error)
{
    static const char rules[] =
        "table inet probe {\n chain pre {\n type filter hook prerouting priority mangle\n"
        "meta l4proto tcp tproxy ip to 127.0.0.1:9 meta mark set 1 accept\n"
        "meta l4proto tcp tproxy ip6 to [::1]:9 meta mark set 1 accept\n }\n }\n";
    int r = ns_unshare(error);

    if (r >= 0 && (r = nft_apply(rules, error)) < 0)
        error_hint(error, "the kernel needs nf_tables with CONFIG_NFT_TPROXY; as root: modprobe "
                          "nft_tproxy");
    return r;
}

static int check_dnsmasq(struct error *error)
{
    char path[PATHS_MAX];

    return program_find("dnsmasq", "VMLAN_DNSMASQ",
                        "install it; Debian, Ubuntu: apt-get install dnsmasq-base; Fedora: dnf "
                        "install dnsmasq",
                        path, error);
}

static int check_configuration(struct error *error)
{
    OWN(networks) struct networks networks = {0};
    OWN(faults) struct faults faults = {0};
    int r = networks_load(NULL, &networks, &faults);

    if (r < 0)
        *error = faults.items[0];
    return r;
}

static int check_vhost(struct error *error)
{
    int fd;

    if (tap_open_vhost(1, &fd) == 1) {
        close(fd);
        return 0;
    }
    error_system(error, -errno, "/dev/vhost-net can't be opened; QEMU moves the frames itself");
    error_hint(error, "for more speed, as root: modprobe vhost_net, and let this user's group "
                      "open /dev/vhost-net");
    return error->code;
}

static int check_kvm(struct error *error)
{
    int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

    if (fd >= 0) {
        close(fd);
        return 0;
    }
    error_system(error, -errno, "/dev/kvm can't be opened; VMs run in software emulation");
    error_hint(error, "add this user to the group that owns /dev/kvm (usually kvm), or as root: "
                      "modprobe kvm_intel or kvm_amd");
    return error->code;
}

static const struct check {
    const char *title;
    bool needed; /* else networks work without it */
    int (*run)(struct error *error);
} checks[] = {
    {"runtime directory", true, check_runtime},
    {"state directory", true, check_state},
    {"configuration", true, check_configuration},
    {"user and network namespaces", true, check_namespaces},
    {"settings of namespaces", true, check_settings},
    {"bridge", true, check_bridge},
    {"tap devices", true, check_tap},
    {"veth pairs", true, check_veth},
    {"nftables with TPROXY", true, check_tproxy},
    {"dnsmasq", true, check_dnsmasq},
    {"vhost-net", false, check_vhost},
    {"KVM", false, check_kvm},
};

/* Runs a check in a child: it may enter namespaces, and leaves nothing. */
static int check_apart(const struct check *check, struct error *ret)
{
    struct error error = {0};
    int ends[2];
    pid_t pid;
    ssize_t got;

    if (pipe2(ends, O_CLOEXEC) < 0)
        return error_system(ret, -errno, "pipe");
    pid = fork();
    if (pid == 0) {
        if (check->run(&error) >= 0)
            error = (struct error){0};
        _exit(write(ends[1], &error, sizeof(error)) != (ssize_t)sizeof(error));
    }
    close(ends[1]);
    got = read(ends[0], ret, sizeof(*ret));
    close(ends[0]);
    if (pid > 0)
        waitpid(pid, NULL, 0);
    return got == (ssize_t)sizeof(*ret) ? ret->code
                                        : error_set(ret, -EIO, ERROR_FAILED, "the check crashed");
}

static json_t *check_json(const struct check *check, const struct error *error)
{
    return json_pack("{ss sb sb ss ss}", "check", check->title, "needed", check->needed, "good",
                     error->code >= 0, "reason", error->code < 0 ? error->reason : "", "cure",
                     error->code < 0 ? error->hint : "");
}

static void check_print(const struct check *check, const struct error *error)
{
    printf("%-5s %s\n", error->code >= 0 ? "good" : check->needed ? "BAD" : "less", check->title);
    if (error->code >= 0)
        return;
    printf("      %s%s%s\n", error->where, error->where[0] ? ": " : "", error->reason);
    if (error->hint[0])
        printf("      cure: %s\n", error->hint);
}

static int doctor(struct cli *cli)
{
    OWN(json) json_t *all = json_array();
    struct error error;
    int bad = 0;

    for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
        bad += check_apart(&checks[i], &error) < 0 && checks[i].needed;
        if (cli->json)
            json_array_append_new(all, check_json(&checks[i], &error));
        else
            check_print(&checks[i], &error);
    }
    if (cli->json)
        session_print_json(all);
    else
        printf(bad ? "%d thing(s) to cure before networks can run here\n"
                   : "networks can run here\n",
               bad);
    return bad > 0;
}

const struct verb verb_doctor = {
    .name = "doctor",
    .arguments = "",
    .summary = "what this machine allows, and the cure for each thing missing",
    .text = "BAD: networks can't run without it. less: they run, with less speed.",
    .run = doctor,
};
