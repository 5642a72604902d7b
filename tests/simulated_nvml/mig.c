/* MIG and what each process uses, told by a file of their own: the control file's name with `.mig`.
 *
 *   mode DEVICE CURRENT [PENDING]              a GPU without such a line cannot be divided
 *   instance DEVICE GI CI SLICES COMPUTE_SLICES MEMORY_MIB USED_MIB UUID [PROFILE]
 *   tenant PID GI CI                           which instance a `process` of the control file uses
 *   activity DEVICE GI METRIC PERCENT [CODE]   what the performance counters of a GPU instance say
 *   usage DEVICE PID TIMESTAMP PERCENT         a sample of a process, TIMESTAMP in microseconds
 *   usage-filter 0                             give old samples too, as some drivers do
 *
 * Read again when it is another file, so that a test can replace it (by renaming) at any time. An instance is found under
 * the place of its line, and a place keeps its handle whatever instance is in it, as the header warns.
 * Without the file no GPU can be divided and no process is ever busy.
 */
#define SIMULATED_NVML_EXPORTS_MIG
#include "simulated.h"

#include <stdlib.h>
#include <sys/stat.h>

#include "mig.h"

#define MIB (1024ULL * 1024)
#define SLOTS 8
#define MAX_TENANTS 256
#define MAX_ACTIVITIES 2048
#define MAX_USAGES 1024

struct instance {
    unsigned int gi, ci, slices, compute_slices;
    unsigned long long memory, used;
    char uuid[80], profile[32];
};

static struct {
    int known[MAX_DEVICES]; /* whether the GPU can be divided */
    unsigned int current[MAX_DEVICES], pending[MAX_DEVICES];
    int instances[MAX_DEVICES];
    struct instance instance[MAX_DEVICES][SLOTS];
    int tenants, activities, usages, unfiltered;
    struct { unsigned int pid, gi, ci; } tenant[MAX_TENANTS];
    struct { int device; unsigned int gi, metric; double percent; int code; } activity[MAX_ACTIVITIES];
    struct { int device; unsigned int pid; unsigned long long at; unsigned int percent; } usage[MAX_USAGES];
} mig;

static char handles[MAX_DEVICES][SLOTS];

static void read_line(const char *line)
{
    struct instance one = {0};
    int device, filter, used;
    unsigned int current, pending = 0;
    if (sscanf(line, "mode %d %u %n%u", &device, &current, &used, &pending) >= 2) {
        mig.known[device] = 1;
        mig.current[device] = current;
        mig.pending[device] = strlen(line + used) ? pending : current;
    } else if (sscanf(line, "instance %d %u %u %u %u %llu %llu %79s %31s", &device, &one.gi, &one.ci,
                      &one.slices, &one.compute_slices, &one.memory, &one.used, one.uuid,
                      one.profile) >= 8 && mig.instances[device] < SLOTS) {
        mig.instance[device][mig.instances[device]++] = one;
    } else if (mig.tenants < MAX_TENANTS &&
               sscanf(line, "tenant %u %u %u", &mig.tenant[mig.tenants].pid,
                      &mig.tenant[mig.tenants].gi, &mig.tenant[mig.tenants].ci) == 3) {
        mig.tenants++;
    } else if (mig.activities < MAX_ACTIVITIES &&
               sscanf(line, "activity %d %u %u %lf %d", &mig.activity[mig.activities].device,
                      &mig.activity[mig.activities].gi, &mig.activity[mig.activities].metric,
                      &mig.activity[mig.activities].percent,
                      &mig.activity[mig.activities].code) >= 4) {
        mig.activities++;
    } else if (mig.usages < MAX_USAGES &&
               sscanf(line, "usage %d %u %llu %u", &mig.usage[mig.usages].device,
                      &mig.usage[mig.usages].pid, &mig.usage[mig.usages].at,
                      &mig.usage[mig.usages].percent) == 4) {
        mig.usages++;
    } else if (sscanf(line, "usage-filter %d", &filter) == 1) {
        mig.unfiltered = !filter;
    }
}

static void read_file(void)
{
    static struct stat known;
    struct stat found = {0};
    char path[512], line[512];
    const char *control = getenv("SIMULATED_NVML");
    if (control) {
        snprintf(path, sizeof path, "%s.mig", control);
        stat(path, &found);
    }
    if (found.st_ino == known.st_ino && found.st_mtim.tv_sec == known.st_mtim.tv_sec &&
        found.st_mtim.tv_nsec == known.st_mtim.tv_nsec)
        return;
    known = found;
    memset(&mig, 0, sizeof mig);
    FILE *file = found.st_ino ? fopen(path, "r") : NULL;
    if (!file)
        return;
    while (fgets(line, sizeof line, file))
        read_line(line);
    fclose(file);
}

/* The instance behind a handle, or NULL; `device` becomes the GPU's index where it is a MIG handle. */
static const struct instance *instance_of(nvmlDevice_t handle, int *device)
{
    const char *place = (const char *)handle;
    *device = -1;
    if (place < &handles[0][0] || place >= &handles[0][0] + sizeof handles)
        return NULL;
    read_file();
    *device = (int)((place - &handles[0][0]) / SLOTS);
    int slot = (int)((place - &handles[0][0]) % SLOTS);
    int there = mig.current[*device] && slot < mig.instances[*device];
    return there ? &mig.instance[*device][slot] : NULL;
}

/* Begins a function that takes either: `device` is the GPU, `one` the instance or NULL for a whole GPU. */
#define ENTER_INSTANCE(name, whole)                                                               \
    METER                                                                                         \
    const struct rule *rule;                                                                      \
    int device;                                                                                   \
    const struct instance *one = instance_of(handle, &device);                                    \
    if (device < 0)                                                                               \
        return whole;                                                                             \
    nvmlReturn_t entered = enter(name ":mig", device, &rule);                                     \
    if (entered != NVML_SUCCESS)                                                                  \
        return entered;                                                                           \
    if (!one)                                                                                     \
        return NVML_ERROR_NOT_FOUND;

#define ENTER_GPU(name)                                                                           \
    int device = index_of(handle);                                                                \
    ENTER(name, device)                                                                           \
    read_file();

/* For tests, through ctypes: whether anybody has the library open. */
long nvmlSimulatedUsers(void)
{
    return control_alive();
}

/* ---- which instances there are ------------------------------------------------------------------ */

nvmlReturn_t nvmlDeviceGetMigMode(nvmlDevice_t handle, unsigned int *current, unsigned int *pending)
{
    ENTER_GPU("nvmlDeviceGetMigMode")
    if (!mig.known[device])
        return NVML_ERROR_NOT_SUPPORTED;
    *current = mig.current[device];
    *pending = mig.pending[device];
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMaxMigDeviceCount(nvmlDevice_t handle, unsigned int *count)
{
    ENTER_GPU("nvmlDeviceGetMaxMigDeviceCount")
    *count = mig.known[device] ? SLOTS - 1 : 0;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMigDeviceHandleByIndex(nvmlDevice_t handle, unsigned int index,
                                                 nvmlDevice_t *found)
{
    ENTER_GPU("nvmlDeviceGetMigDeviceHandleByIndex")
    if (index >= SLOTS - 1)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (!mig.current[device] || (int)index >= mig.instances[device])
        return NVML_ERROR_NOT_FOUND;
    *found = (nvmlDevice_t)&handles[device][index];
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetGpuInstanceId(nvmlDevice_t handle, unsigned int *id)
{
    ENTER_INSTANCE("nvmlDeviceGetGpuInstanceId", NVML_ERROR_INVALID_ARGUMENT)
    *id = one->gi;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetComputeInstanceId(nvmlDevice_t handle, unsigned int *id)
{
    ENTER_INSTANCE("nvmlDeviceGetComputeInstanceId", NVML_ERROR_INVALID_ARGUMENT)
    *id = one->ci;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetAttributes_v2(nvmlDevice_t handle, nvmlDeviceAttributes_t *attributes)
{
    ENTER_INSTANCE("nvmlDeviceGetAttributes", NVML_ERROR_NOT_SUPPORTED)
    memset(attributes, 0, sizeof *attributes);
    attributes->gpuInstanceSliceCount = one->slices;
    attributes->computeInstanceSliceCount = one->compute_slices;
    attributes->memorySizeMB = one->memory;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetUUID(nvmlDevice_t handle, char *text, unsigned int length)
{
    ENTER_INSTANCE("nvmlDeviceGetUUID", whole_gpu_uuid(handle, text, length))
    return give_text(text, length, rule, one->uuid);
}

nvmlReturn_t nvmlDeviceGetName(nvmlDevice_t handle, char *text, unsigned int length)
{
    char name[96];
    ENTER_INSTANCE("nvmlDeviceGetName", whole_gpu_name(handle, text, length))
    snprintf(name, sizeof name, "NVIDIA H100 80GB HBM3%s%s", one->profile[0] ? " MIG " : "",
             one->profile);
    return give_text(text, length, rule, name);
}

/* ---- memory ------------------------------------------------------------------------------------- */

nvmlReturn_t nvmlDeviceGetMemoryInfo(nvmlDevice_t handle, nvmlMemory_t *memory)
{
    ENTER_INSTANCE("nvmlDeviceGetMemoryInfo", whole_gpu_memory(handle, memory))
    memory->total = one->memory * MIB;
    memory->used = one->used * MIB;
    memory->free = memory->total - memory->used;
    return NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetMemoryInfo_v2(nvmlDevice_t handle, nvmlMemory_v2_t *memory)
{
    ENTER_INSTANCE("nvmlDeviceGetMemoryInfo_v2", whole_gpu_memory_v2(handle, memory))
    if (memory->version != nvmlMemory_v2)
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    memory->total = one->memory * MIB;
    memory->reserved = 0;
    memory->used = one->used * MIB;
    memory->free = memory->total - memory->used;
    return NVML_SUCCESS;
}

/* ---- what a divided GPU does not tell ----------------------------------------------------------- */

static int divided(nvmlDevice_t handle)
{
    int device = index_of(handle);
    read_file();
    return device >= 0 && device < MAX_DEVICES && mig.current[device];
}

nvmlReturn_t nvmlDeviceGetUtilizationRates(nvmlDevice_t handle, nvmlUtilization_t *utilization)
{
    METER
    return divided(handle) ? NVML_ERROR_NOT_SUPPORTED : whole_gpu_utilization(handle, utilization);
}

nvmlReturn_t nvmlDeviceGetEncoderUtilization(nvmlDevice_t handle, unsigned int *value,
                                             unsigned int *period)
{
    METER
    return divided(handle) ? NVML_ERROR_NOT_SUPPORTED : whole_gpu_encoder(handle, value, period);
}

nvmlReturn_t nvmlDeviceGetDecoderUtilization(nvmlDevice_t handle, unsigned int *value,
                                             unsigned int *period)
{
    METER
    return divided(handle) ? NVML_ERROR_NOT_SUPPORTED : whole_gpu_decoder(handle, value, period);
}

/* ---- processes ---------------------------------------------------------------------------------- */

static bool uses(unsigned int pid, const struct instance *one)
{
    for (int i = 0; i < mig.tenants; i++)
        if (mig.tenant[i].pid == pid && mig.tenant[i].gi == one->gi && mig.tenant[i].ci == one->ci)
            return true;
    return false;
}

/* The processes of one part, which anybody may ask for; here too an entry may not say whose it is. */
static nvmlReturn_t list_part(nvmlDevice_t handle, unsigned int *count, nvmlProcessInfo_t *infos)
{
    const struct control *control = control_now();
    unsigned int found = 0, room = infos ? *count : 0;
    ENTER_INSTANCE("nvmlDeviceGetComputeRunningProcesses", NVML_ERROR_INVALID_ARGUMENT)
    for (int i = 0; i < control->processes; i++) {
        const struct process *process = &control->process[i];
        if (process->device != device || process->graphics || !uses(process->pid, one))
            continue;
        if (found < room)
            infos[found] = (nvmlProcessInfo_t){process->pid, (unsigned long long)process->bytes,
                                               0xFFFFFFFF, 0xFFFFFFFF};
        found++;
    }
    *count = found;
    return found > room ? NVML_ERROR_INSUFFICIENT_SIZE : NVML_SUCCESS;
}

nvmlReturn_t nvmlDeviceGetComputeRunningProcesses_v3(nvmlDevice_t handle, unsigned int *count,
                                                     nvmlProcessInfo_t *infos)
{
    int of_device;
    if (instance_of(handle, &of_device) || of_device >= 0)
        return list_part(handle, count, infos);
    METER
    nvmlReturn_t result = whole_gpu_processes_v3(handle, count, infos);
    if (result != NVML_SUCCESS || !infos || !divided(handle))
        return result;
    for (unsigned int i = 0; i < *count; i++)
        for (int j = 0; j < mig.tenants; j++)
            if (mig.tenant[j].pid == infos[i].pid) {
                infos[i].gpuInstanceId = mig.tenant[j].gi;
                infos[i].computeInstanceId = mig.tenant[j].ci;
            }
    return result;
}

/* The samples of a device newer than `since`, as many as there is room for; returns how many there are. */
static unsigned int newer(int device, unsigned long long since, unsigned int room, int *places)
{
    unsigned int found = 0;
    for (int i = 0; i < mig.usages; i++)
        if (mig.usage[i].device == device && (mig.unfiltered || mig.usage[i].at > since)) {
            if (found < room)
                places[found] = i;
            found++;
        }
    return found;
}

nvmlReturn_t nvmlDeviceGetProcessUtilization(nvmlDevice_t handle,
                                             nvmlProcessUtilizationSample_t *samples,
                                             unsigned int *count, unsigned long long since)
{
    int places[MAX_USAGES];
    ENTER_GPU("nvmlDeviceGetProcessUtilization")
    if (mig.current[device])
        return NVML_ERROR_NOT_SUPPORTED;
    unsigned int room = samples ? *count : 0;
    *count = newer(device, since, room, places);
    if (*count > room)
        return NVML_ERROR_INSUFFICIENT_SIZE;
    memset(samples, 0, samples ? *count * sizeof *samples : 0);
    for (unsigned int i = 0; i < *count; i++) {
        samples[i].pid = mig.usage[places[i]].pid;
        samples[i].timeStamp = mig.usage[places[i]].at;
        samples[i].smUtil = mig.usage[places[i]].percent;
    }
    return NVML_SUCCESS; /* of nothing too, which the binding makes an error */
}

nvmlReturn_t nvmlDeviceGetProcessesUtilizationInfo(nvmlDevice_t handle,
                                                   nvmlProcessesUtilizationInfo_t *info)
{
    int places[MAX_USAGES];
    ENTER_GPU("nvmlDeviceGetProcessesUtilizationInfo")
    if (info->version != nvmlProcessesUtilizationInfo_v1)
        return NVML_ERROR_ARGUMENT_VERSION_MISMATCH;
    if (mig.current[device])
        return NVML_ERROR_NOT_SUPPORTED;
    unsigned int room = info->procUtilArray ? info->processSamplesCount : 0;
    info->processSamplesCount = newer(device, info->lastSeenTimeStamp, room, places);
    if (!info->processSamplesCount)
        return NVML_ERROR_NOT_FOUND;
    if (info->processSamplesCount > room)
        return NVML_ERROR_INSUFFICIENT_SIZE;
    for (unsigned int i = 0; i < info->processSamplesCount; i++) {
        info->procUtilArray[i] = (nvmlProcessUtilizationInfo_v1_t){
            .timeStamp = mig.usage[places[i]].at,
            .pid = mig.usage[places[i]].pid,
            .smUtil = mig.usage[places[i]].percent,
        };
    }
    return NVML_SUCCESS;
}

/* ---- performance counters of instances, for profiling.c ----------------------------------------- */

bool mig_has_instance(int device, unsigned int gi)
{
    read_file();
    for (int i = 0; i < mig.instances[device]; i++)
        if (mig.instance[device][i].gi == gi)
            return true;
    return false;
}

nvmlReturn_t mig_activity(int device, unsigned int gi, unsigned int metric, double *value)
{
    for (int i = 0; i < mig.activities; i++)
        if (mig.activity[i].device == device && mig.activity[i].gi == gi &&
            mig.activity[i].metric == metric) {
            *value = mig.activity[i].percent;
            return (nvmlReturn_t)mig.activity[i].code;
        }
    return NVML_ERROR_NOT_SUPPORTED;
}
