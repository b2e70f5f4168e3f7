/* A QEMU plugin: the number of guest instructions so far, in the first eight bytes of a file that others map.
 *
 * The file is named by MOBILENAS_COUNTER; it must exist and have at least eight bytes. A block of instructions is counted
 * when it is entered. QEMU's header is not needed, only the names below, which all its versions have; PLUGIN_VERSION is
 * the one that the installed QEMU accepts.
 */
#include <fcntl.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

typedef uint64_t plugin_id;
struct qemu_plugin_tb;
struct qemu_info;

extern void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, void (*)(plugin_id, struct qemu_plugin_tb *));
extern void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *, void (*)(unsigned, void *), int, void *);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *);

enum { READS_NO_REGISTERS = 0 };

EXPORT int qemu_plugin_version = PLUGIN_VERSION;

static volatile uint64_t *count;

static void entered(unsigned cpu, void *instructions)
{
    (void)cpu;
    *count += (uintptr_t)instructions;
}

static void translated(plugin_id id, struct qemu_plugin_tb *block)
{
    void *instructions = (void *)(uintptr_t)qemu_plugin_tb_n_insns(block);
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_cb(block, entered, READS_NO_REGISTERS, instructions);
}

EXPORT int qemu_plugin_install(plugin_id id, const struct qemu_info *info, int argc, char **argv)
{
    const char *path = getenv("MOBILENAS_COUNTER");
    int file = path ? open(path, O_RDWR) : -1;
    (void)info, (void)argc, (void)argv;
    if (file < 0)
        return -1;
    count = mmap(NULL, sizeof *count, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    close(file);
    if (count == MAP_FAILED)
        return -1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    return 0;
}
