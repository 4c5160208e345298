/* SPDX-License-Identifier: Apache-2.0 */
/* org.varlink.service (https://varlink.org/Service): what every Varlink service says of itself. */
#include <errno.h>
#include <string.h>
#include <threads.h>

#include "base/buf.h"
#include "made/version.h"
#include "wire/conn-private.h"

static const char service_text[] =
    "# The Varlink Service Interface is provided by every varlink service. It\n"
    "# describes the service and the interfaces it implements.\n"
    "interface org.varlink.service\n"
    "\n"
    "# Get a list of all the interfaces a service provides and information\n"
    "# about the implementation.\n"
    "method GetInfo() -> (\n"
    "  vendor: string,\n"
    "  product: string,\n"
    "  version: string,\n"
    "  url: string,\n"
    "  interfaces: []string\n"
    ")\n"
    "\n"
    "# Get the description of an interface that is implemented by this service.\n"
    "method GetInterfaceDescription(interface: string) -> (description: string)\n"
    "\n"
    "# The requested interface was not found.\n"
    "error InterfaceNotFound (interface: string)\n"
    "\n"
    "# The requested method was not found\n"
    "error MethodNotFound (method: string)\n"
    "\n"
    "# The interface defines the requested method, but the service does not\n"
    "# implement it.\n"
    "error MethodNotImplemented (method: string)\n"
    "\n"
    "# One of the passed parameters is invalid.\n"
    "error InvalidParameter (parameter: string)\n";

const struct interface *service_find(const struct conn *conn, const char *name, size_t size)
{
    struct interface *const *each = conn->interfaces;

    if (size == strlen(SERVICE_NAME) && memcmp(name, SERVICE_NAME, size) == 0)
        return service_interface();
    for (; *each; each++)
        if (size == strlen(interface_name(*each)) && memcmp(name, interface_name(*each), size) == 0)
            return *each;
    return NULL;
}

void service_not_found(const struct conn *conn, const char *name, const char *where,
                       struct error *error)
{
    OWN(buf) struct buf names = BUF_NULL;

    for (struct interface *const *each = conn->interfaces; *each; each++)
        buf_printf(&names, ", %s", interface_name(*each));
    error_set(error, -ENOSYS, SERVICE_INTERFACE_NOT_FOUND, "found no interface \"%s\"", name);
    error_where(error, "%s", where);
    error_hint(error, "the interfaces are %s%s", SERVICE_NAME, buf_text(&names));
}

static void get_info(struct call *call)
{
    json_t *names = json_pack("[s]", SERVICE_NAME);

    for (struct interface *const *each = call->conn->interfaces; *each; each++)
        json_array_append_new(names, json_string(interface_name(*each)));
    call_reply(call,
               json_pack("{s:s, s:s, s:s, s:s, s:o}", "vendor", "vmlan", "product", "vmlan",
                         "version", VMLAN_VERSION, "url", "", "interfaces", names),
               NULL, 0);
}

static void get_description(struct call *call)
{
    const char *name = json_string_value(json_object_get(call_parameters(call), "interface"));
    const struct interface *interface = service_find(call->conn, name, strlen(name));
    struct error error;

    if (interface) {
        call_reply(call, json_pack("{s:s}", "description", interface_text(interface)), NULL, 0);
        return;
    }
    service_not_found(call->conn, name, "GetInterfaceDescription.interface", &error);
    call_refuse(call, SERVICE_NAME, "interface", name, &error);
}

static struct interface *service;

static void service_make(void)
{
    static const struct method methods[] = {
        {.name = "GetInfo", .handle = get_info},
        {.name = "GetInterfaceDescription", .handle = get_description},
        {0},
    };

    /* A constant text: test-idl.c sees to it that it parses. */
    interface_new(service_text, methods, &service, NULL);
}

const struct interface *service_interface(void)
{
    static once_flag once = ONCE_FLAG_INIT; /* programs that use the library may have threads */

    call_once(&once, service_make);
    return service;
}
