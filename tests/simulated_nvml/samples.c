/* The driver's own sample buffers, told by a file of their own: the control file's name with `.samples`.
 *
 * One sample a line, oldest first: DEVICE KIND TIMESTAMP VALUE [TYPE]. KIND is an nvmlSamplingType_t,
 * TIMESTAMP is in microseconds, TYPE an nvmlValueType_t that holds for the whole answer. Without the file
 * every buffer is empty. Read at every call, so that a test can replace it (by renaming) at any time.
 */
#define NVML_NO_UNVERSIONED_FUNC_DEFS
#include <nvml.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control.h"

#define MAX_SAMPLES 4096

static nvmlSample_t buffer[MAX_SAMPLES];
static nvmlValueType_t type;

/* A device's index, by the distance of its handle from the first one's. */
static int index_of(nvmlDevice_t device)
{
    static nvmlDevice_t first;
    for (unsigned int i = 0; !first && i < MAX_DEVICES; i++) {
        nvmlDevice_t found;
        if (nvmlDeviceGetHandleByIndex_v2(i, &found) == NVML_SUCCESS)
            first = (nvmlDevice_t)((char *)found - i);
    }
    return first ? (int)((char *)device - (char *)first) : MAX_DEVICES;
}

static void set_value(nvmlValue_t *value, double number)
{
    memset(value, 0xA5, sizeof *value); /* what is not set is not to be believed */
    if (type == NVML_VALUE_TYPE_DOUBLE)
        value->dVal = number;
    else if (type == NVML_VALUE_TYPE_UNSIGNED_LONG_LONG)
        value->ullVal = (unsigned long long)number;
    else
        value->uiVal = (unsigned int)(long long)number;
}

static unsigned int read_samples(int wanted, nvmlSamplingType_t kind, unsigned long long since)
{
    char path[4096], line[256];
    const char *control = getenv("SIMULATED_NVML");
    unsigned int found = 0;
    type = NVML_VALUE_TYPE_UNSIGNED_INT;
    snprintf(path, sizeof path, "%s.samples", control ? control : "");
    FILE *file = fopen(path, "r");
    if (!file)
        return 0;
    while (found < MAX_SAMPLES && fgets(line, sizeof line, file)) {
        int device, of_kind, told = NVML_VALUE_TYPE_UNSIGNED_INT;
        unsigned long long stamp;
        double number;
        if (sscanf(line, "%d %d %llu %lf %d", &device, &of_kind, &stamp, &number, &told) < 4 ||
            device != wanted || of_kind != (int)kind || stamp <= since)
            continue;
        type = (nvmlValueType_t)told;
        buffer[found].timeStamp = stamp;
        set_value(&buffer[found++].sampleValue, number);
    }
    fclose(file);
    return found;
}

nvmlReturn_t nvmlDeviceGetSamples(nvmlDevice_t device, nvmlSamplingType_t kind,
                                  unsigned long long since, nvmlValueType_t *value_type,
                                  unsigned int *count, nvmlSample_t *samples)
{
    const struct control *control = control_now();
    int index = index_of(device);
    const struct rule *rule = control_rule(control, "nvmlDeviceGetSamples", index);
    if (control->latency_us)
        control_sleep_us(control->latency_us);
    if (rule && rule->hang_ms)
        control_sleep_us(rule->hang_ms * 1000);
    if (rule && rule->has_code)
        return (nvmlReturn_t)rule->code;
    if (index < 0 || index >= control->devices || kind >= NVML_SAMPLINGTYPE_COUNT)
        return NVML_ERROR_INVALID_ARGUMENT;
    if (control->lost[index])
        return NVML_ERROR_GPU_IS_LOST;
    unsigned int found = read_samples(index, kind, since);
    if (!found)
        return NVML_ERROR_NOT_FOUND;
    *value_type = type;
    if (samples) {
        found = found < *count ? found : *count;
        memcpy(samples, buffer, found * sizeof *samples);
    }
    *count = found;
    return NVML_SUCCESS;
}
