/* SPDX-License-Identifier: Apache-2.0 */
/* See hypervisor.h. */
#include "cli/hypervisor.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/buf.h"
#include "cli/backend.h"

void arguments_done(struct arguments *arguments)
{
    for (size_t i = 0; i < arguments->count; i++)
        free(arguments->items[i]);
    free(arguments->items);
    *arguments = (struct arguments){0};
}

static void arguments_add_text(struct arguments *arguments, char *text)
{
    arguments->items =
        alloc_resize(arguments->items, (arguments->count + 2) * sizeof(*arguments->items));
    arguments->items[arguments->count++] = text;
    arguments->items[arguments->count] = NULL;
}

static void arguments_add(struct arguments *arguments, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
static void arguments_add(struct arguments *arguments, const char *format, ...)
{
    va_list args;
    char *text;

    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        text = alloc_text("");
    va_end(args);
    arguments_add_text(arguments, text);
}

/* --- QEMU --- */

/* The value of an option in a QEMU command: "-name VALUE" or "--name VALUE". */
static const char *qemu_option(char *const *command, const char *option, const char *alias)
{
    for (size_t i = 1; command[0] && command[i] && command[i + 1]; i++) {
        const char *word = command[i];

        if (word[0] != '-')
            continue;
        word += word[1] == '-' ? 2 : 1;
        if (strcmp(word, option) == 0 || (alias && strcmp(word, alias) == 0))
            return command[i + 1];
    }
    return NULL;
}

static char *qemu_guest_name(char *const *command)
{
    const char *value = qemu_option(command, "name", NULL);

    if (!value)
        return NULL;
    if (strncmp(value, "guest=", 6) == 0)
        value += 6;
    return strndup(value, strcspn(value, ","));
}

/* The virtio network device of the machine's bus. */
static const char *qemu_device(char *const *command)
{
    const char *machine = qemu_option(command, "machine", "M");

    if (strstr(command[0], "s390x"))
        return "virtio-net-ccw";
    return machine && strncmp(machine, "microvm", 7) == 0 ? "virtio-net-device" : "virtio-net-pci";
}

/* Several queues, and an MTU that is not Ethernet's, must be said to the device too. */
static void qemu_device_extra(const struct nic *nic, const char *device, char *extra, size_t size)
{
    json_int_t mtu = json_integer_value(json_object_get(nic->reply, "mtu"));
    unsigned queues = nic_fd_count(nic, "fds");

    extra[0] = '\0';
    if (queues > 1 && strcmp(device, "virtio-net-pci") == 0)
        /* two vectors a queue, configuration and control: virtio 1.2, 5.1.2 */
        snprintf(extra, size, ",mq=on,vectors=%u", 2 * queues + 2);
    else if (queues > 1)
        snprintf(extra, size, ",mq=on");
    if (mtu != 1500)
        snprintf(extra + strlen(extra), size - strlen(extra), ",host_mtu=%d", (int)mtu);
}

static void qemu_tap(struct arguments *arguments, const struct nic *nic, int index)
{
    unsigned queues = nic_fd_count(nic, "fds"), vhosts = nic_fd_count(nic, "vhostFds");
    char fds[256], vhost[256];

    nic_fds_text(nic, "fds", fds, sizeof(fds));
    nic_fds_text(nic, "vhostFds", vhost, sizeof(vhost));
    arguments_add(arguments, "tap,id=vmlan%d,%s=%s%s%s%s", index, queues > 1 ? "fds" : "fd", fds,
                  vhosts ? ",vhost=on," : "",
                  vhosts > 1 ? "vhostfds="
                  : vhosts   ? "vhostfd="
                             : "",
                  vhost);
}

/* How QEMU is told of a socket; "socket" is the old way, for any QEMU: qapi/net.json. */
static const struct {
    const char *asked, *kind, *fd;
} qemu_sockets[] = {
    {"stream", "stream", "addr.type=fd,addr.str"},
    {"socket", "socket", "fd"},
    {"datagram", "dgram", "local.type=fd,local.str"},
    {"dgram", "dgram", "local.type=fd,local.str"},
    {"datagram_next", "dgram", "local.type=fd,local.str"},
    {"dgram_next", "dgram", "local.type=fd,local.str"},
};

static void qemu_netdev(struct arguments *arguments, const struct nic *nic, int index)
{
    char fd[256];

    if (nic_is_named(nic)) {
        arguments_add(arguments, "tap,id=vmlan%d,ifname=%s,script=no,downscript=no", index,
                      nic_text(nic, "port"));
        return;
    }
    nic_fds_text(nic, "fds", fd, sizeof(fd));
    for (size_t i = 0; nic->backend && i < ARRAY_SIZE(qemu_sockets); i++)
        if (strcmp(nic->backend, qemu_sockets[i].asked) == 0) {
            arguments_add(arguments, "%s,id=vmlan%d,%s=%s", qemu_sockets[i].kind, index,
                          qemu_sockets[i].fd, fd);
            return;
        }
    qemu_tap(arguments, nic, index);
}

static void qemu_nic(struct arguments *arguments, char *const *command, const struct nic *nic,
                     int index)
{
    const char *device = qemu_device(command);
    char extra[128];

    qemu_device_extra(nic, device, extra, sizeof(extra));
    arguments_add(arguments, "-netdev");
    qemu_netdev(arguments, nic, index);
    arguments_add(arguments, "-device");
    arguments_add(arguments, "%s,netdev=vmlan%d,mac=%s%s", device, index, nic_text(nic, "mac"),
                  extra);
}

static void qemu_arguments(struct arguments *arguments, char *const *command,
                           const struct nics *nics)
{
    for (size_t i = 0; command[i]; i++)
        arguments_add_text(arguments, alloc_text(command[i]));
    for (int i = 0; i < nics->count; i++)
        qemu_nic(arguments, command, &nics->items[i], i);
}

/* --- cloud-hypervisor, crosvm --- */

static void cloud_hypervisor_arguments(struct arguments *arguments, char *const *command,
                                       const struct nics *nics)
{
    char fds[256];

    for (size_t i = 0; command[i]; i++)
        arguments_add_text(arguments, alloc_text(command[i]));
    for (int i = 0; i < nics->count; i++) {
        const struct nic *nic = &nics->items[i];
        unsigned queues = nic_fd_count(nic, "fds");

        nic_fds_text(nic, "fds", fds, sizeof(fds));
        for (char *c = fds; *c; c++)
            if (*c == ':')
                *c = ',';
        arguments_add(arguments, "--net");
        arguments_add(arguments, queues > 1 ? "fd=[%s],mac=%s,num_queues=%u" : "fd=%s,mac=%s", fds,
                      nic_text(nic, "mac"), 2 * queues);
    }
}

/* crosvm's options belong to its "run": they go right behind it. */
static void crosvm_arguments(struct arguments *arguments, char *const *command,
                             const struct nics *nics)
{
    char fds[256], *rest;

    for (size_t i = 0; command[i]; i++) {
        arguments_add_text(arguments, alloc_text(command[i]));
        if (strcmp(command[i], "run") != 0 || nics == NULL)
            continue;
        for (int j = 0; j < nics->count; j++) {
            rest = nic_fds_text(&nics->items[j], "fds", fds, sizeof(fds));
            arguments_add(arguments, "--net");
            arguments_add(arguments, "tap-fd=%s,mac=%s", strsep(&rest, ":"),
                          nic_text(&nics->items[j], "mac"));
        }
        nics = NULL; /* once */
    }
}

/* offloading is one switch for what are two of ours: check_nic() sees that they agree. */
static void krunkit_arguments(struct arguments *arguments, char *const *command,
                              const struct nics *nics)
{
    char fd[256];

    for (size_t i = 0; command[i]; i++)
        arguments_add_text(arguments, alloc_text(command[i]));
    for (int i = 0; i < nics->count; i++) {
        const struct nic *nic = &nics->items[i];
        bool stream = strcmp(backend_protocol(nic->backend), "stream") == 0;

        arguments_add(arguments, "--device");
        arguments_add(arguments, "virtio-net,type=%s,fd=%s,mac=%s%s",
                      stream ? "unixstream" : "unixgram", nic_fds_text(nic, "fds", fd, sizeof(fd)),
                      nic_text(nic, "mac"), nic_switched_on(nic->tso) ? ",offloading=on" : "");
    }
}

/* --- placeholders --- */

struct placeholder {
    const char *name, *field;
    enum { TEXT, NUMBER, FIRST_FD, ALL_FDS } kind;
};

static const struct placeholder placeholders[] = {
    {"fd", "fds", FIRST_FD},      {"fds", "fds", ALL_FDS},      {"vhostfds", "vhostFds", ALL_FDS},
    {"mac", "mac", TEXT},         {"ifname", "port", TEXT},     {"port", "port", TEXT},
    {"network", "network", TEXT}, {"gateway", "gateway", TEXT}, {"subnet", "subnet", TEXT},
    {"mtu", "mtu", NUMBER},
};

static void placeholder_value(const struct placeholder *p, const struct nic *nic, char *text,
                              size_t size)
{
    switch (p->kind) {
    case TEXT:
        snprintf(text, size, "%s", nic_text(nic, p->field));
        break;
    case NUMBER:
        snprintf(text, size, "%lld",
                 (long long)json_integer_value(json_object_get(nic->reply, p->field)));
        break;
    case FIRST_FD:
    case ALL_FDS:
        nic_fds_text(nic, p->field, text, size);
        if (p->kind == FIRST_FD)
            text[strcspn(text, ":")] = '\0';
        break;
    }
}

/* "{mac}" or "{mac1}" at text: its length, and which; 0 when it is none. */
static size_t placeholder_at(const char *text, const struct placeholder **ret, int *ret_index)
{
    for (size_t i = 0; text[0] == '{' && i < ARRAY_SIZE(placeholders); i++) {
        size_t length = strlen(placeholders[i].name);
        char *end;
        long index;

        if (strncmp(text + 1, placeholders[i].name, length) != 0)
            continue;
        index = strtol(text + 1 + length, &end, 10);
        if (*end != '}' || index < 0 || index >= NICS_MAX)
            continue;
        *ret = &placeholders[i];
        *ret_index = (int)index;
        return (size_t)(end + 1 - text);
    }
    return 0;
}

static bool has_placeholders(char *const *command)
{
    const struct placeholder *unused;
    int index;

    for (size_t i = 0; command[i]; i++)
        for (const char *c = command[i]; *c; c++)
            if (placeholder_at(c, &unused, &index))
                return true;
    return false;
}

static int replace(const char *word, const struct nics *nics, char **ret, struct error *error)
{
    OWN(buf) struct buf out = BUF_NULL;
    const struct placeholder *p;
    char value[256];
    int index;

    while (*word) {
        size_t length = placeholder_at(word, &p, &index);

        if (!length) {
            buf_append(&out, word++, 1);
            continue;
        }
        if (index >= nics->count) {
            error_set(error, -EINVAL, ERROR_INVALID, "%.*s: there is no network %d", (int)length,
                      word, index);
            error_hint(error, "networks are numbered from 0 in the order of -n");
            return -EINVAL;
        }
        placeholder_value(p, &nics->items[index], value, sizeof(value));
        buf_append(&out, value, strlen(value));
        word += length;
    }
    *ret = alloc_text(buf_text(&out));
    return 0;
}

static int placeholders_replace(char *const *command, const struct nics *nics,
                                struct arguments *arguments, struct error *error)
{
    char *word;

    for (size_t i = 0; command[i]; i++) {
        int r = replace(command[i], nics, &word, error);

        if (r < 0)
            return r;
        arguments_add_text(arguments, word);
    }
    return 0;
}

/* --- which one it is --- */

#define QEMU_BACKENDS "tap stream datagram datagram_next"
#define QEMU_VARIABLE "_LIMA_QEMU_VMNET_BACKEND"

static const struct hypervisor {
    const char *pattern; /* of the program's name: fnmatch(3) */
    void (*arguments)(struct arguments *arguments, char *const *command, const struct nics *nics);
    char *(*guest_name)(char *const *command);
    const char *backends; /* it can be given, the best first */
    const char *variable; /* of Lima, that says which */
    bool offloads;        /* on a socket, too */
    const char *refusal;  /* can't take a descriptor: what to do instead */
} hypervisors[] = {
    {"qemu-system-*", qemu_arguments, qemu_guest_name, QEMU_BACKENDS, QEMU_VARIABLE},
    {"qemu-kvm", qemu_arguments, qemu_guest_name, QEMU_BACKENDS, QEMU_VARIABLE},
    {"kvm", qemu_arguments, qemu_guest_name, QEMU_BACKENDS, QEMU_VARIABLE},
    {"krunkit", krunkit_arguments, NULL, "stream datagram datagram_next",
     "_LIMA_KRUNKIT_VMNET_BACKEND", .offloads = true},
    {"cloud-hypervisor", cloud_hypervisor_arguments, NULL, "tap"},
    {"crosvm", crosvm_arguments, NULL, "tap"},
    {"firecracker", .refusal = "firecracker takes a tap by name only"},
    {"krunvm", .refusal = "libkrun takes a tap by name only"},
};

static const struct hypervisor *hypervisor_find(char *const *command)
{
    const char *name = strrchr(command[0], '/');

    name = name ? name + 1 : command[0];
    for (size_t i = 0; i < ARRAY_SIZE(hypervisors); i++)
        if (fnmatch(hypervisors[i].pattern, name, 0) == 0)
            return &hypervisors[i];
    return NULL;
}

static bool backend_listed(const char *list, const char *backend)
{
    size_t length = strlen(backend);
    const char *at = list;

    while ((at = strstr(at, backend)) && at[length] != ' ' && at[length] != '\0')
        at += length;
    return at != NULL;
}

/* variable: that named the backend; NULL: none did. */
static int check_nic(const struct hypervisor *hypervisor, const struct nic *nic,
                     const char *variable, const char *program, struct error *error)
{
    const char *backend = backend_protocol(nic->backend);
    bool offloads = nic_switched_on(nic->tso) || nic_switched_on(nic->checksum_offload);

    if (!backend_listed(hypervisor->backends, backend)) {
        error_set(error, -EOPNOTSUPP, ERROR_INVALID, "%s can't be given the backend %s", program,
                  nic->backend);
        error_where(error, "%s%s", variable ? "$" : "", variable ? variable : nic->network);
        error_hint(error, "it can be given: %s", hypervisor->backends);
        return -EOPNOTSUPP;
    }
    if (nic_switched_on(nic->tso) != nic_switched_on(nic->checksum_offload) &&
        hypervisor->offloads) {
        error_set(error, -EOPNOTSUPP, ERROR_INVALID, "%s has one switch for all offloads", program);
        error_where(error, "%s", nic->network);
        error_hint(error, "use tso=on,checksumOffload=on, or neither");
        return -EOPNOTSUPP;
    }
    if (offloads && strcmp(backend, "tap") != 0 && !hypervisor->offloads) {
        error_set(error, -EOPNOTSUPP, ERROR_INVALID, "%s has no offloads on a socket", program);
        error_where(error, "%s", nic->network);
        error_hint(error, "leave tso and checksumOffload out, or use a tap, where it has its own");
        return -EOPNOTSUPP;
    }
    return 0;
}

/* The backend of a network that names none: the environment's, else the hypervisor's best. */
static int backend_settle(const struct hypervisor *hypervisor, struct nic *nic, const char *program,
                          struct error *error)
{
    const char *word = NULL, *from = NULL;
    int r = 0;

    if (!nic->backend)
        r = backend_from_environment(hypervisor ? hypervisor->variable : NULL, &word, &from, error);
    if (r < 0)
        return r;
    if (word)
        nic->backend = alloc_text(word);
    else if (!nic->backend && hypervisor)
        nic->backend = strndup(hypervisor->backends, strcspn(hypervisor->backends, " "));
    return hypervisor ? check_nic(hypervisor, nic, from, program, error) : 0;
}

int hypervisor_settle(char *const *command, struct nics *nics, struct error *error)
{
    const struct hypervisor *hypervisor =
        has_placeholders(command) ? NULL : hypervisor_find(command);
    int r = 0;

    if (nics->count > 0 && nic_is_named(&nics->items[0]))
        return 0;
    if (hypervisor && hypervisor->refusal) {
        error_set(error, -EOPNOTSUPP, ERROR_INVALID, "%s: %s", command[0], hypervisor->refusal);
        error_hint(error, "use vmlan run --in-namespace, with {ifname} where it takes the name");
        return -EOPNOTSUPP;
    }
    for (int i = 0; i < nics->count && r >= 0; i++)
        r = backend_settle(hypervisor, &nics->items[i], command[0], error);
    return r;
}

char *hypervisor_guest_name(char *const *command)
{
    const struct hypervisor *hypervisor = hypervisor_find(command);

    return hypervisor && hypervisor->guest_name ? hypervisor->guest_name(command) : NULL;
}

int hypervisor_arguments(char *const *command, const struct nics *nics, struct arguments *ret,
                         struct error *error)
{
    const struct hypervisor *hypervisor = hypervisor_find(command);
    bool named = nics->count > 0 && nic_is_named(&nics->items[0]);

    if (hypervisor && hypervisor->arguments && !has_placeholders(command) &&
        (!named || hypervisor->arguments == qemu_arguments)) {
        hypervisor->arguments(ret, command, nics);
        return 0;
    }
    return placeholders_replace(command, nics, ret, error);
}
