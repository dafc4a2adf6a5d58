// SPDX-License-Identifier: GPL-2.0-only
/*
 * colink: brings scattered extents of registered files into the page cache, many in
 * one call. This file is the module and its device, /dev/colink; the interface is in
 * include/uapi/linux/colink.h.
 *
 * The module has the mechanism only: who may, what, how much, how it is issued. What
 * to ask for is decided by programs and, through the kfunc, by BPF.
 */
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/uaccess.h>

#include "private.h"

/*
 * Copy a structure that begins with its own size. `first_size` is what it had in the
 * first version of the interface.
 */
static int copy_args(void *args, size_t size, size_t first_size, const void __user *from)
{
	u32 given;

	if (get_user(given, (const u32 __user *)from))
		return -EFAULT;
	if (given < first_size)
		return -EINVAL;
	if (given > PAGE_SIZE)
		return -E2BIG;
	return copy_struct_from_user(args, size, from, given);
}

static long ioctl_register(struct colink_opener *opener, struct colink_register __user *user)
{
	struct colink_register args;
	int id;

	id = copy_args(&args, sizeof(args), offsetofend(struct colink_register, reserved), user);
	if (!id)
		id = colink_region_register(opener, &args);
	if (id > 0 && (put_user(args.inode, &user->inode) ||
		       put_user(args.device, &user->device))) {
		colink_region_unregister(opener, id);
		return -EFAULT;
	}
	return id;
}

static long ioctl_prefetch(struct colink_opener *opener, struct colink_prefetch __user *user)
{
	struct colink_prefetch args;
	int error;

	error = copy_args(&args, sizeof(args), offsetofend(struct colink_prefetch, result), user);
	if (error)
		return error;
	memset(&args.result, 0, sizeof(args.result));
	error = colink_prefetch(opener, &args);
	if (copy_to_user(&user->result, &args.result, sizeof(args.result)))
		return -EFAULT;
	return error;
}

static long ioctl_drop(struct colink_opener *opener, struct colink_drop __user *user)
{
	struct colink_drop args;
	int error;

	error = copy_args(&args, sizeof(args), offsetofend(struct colink_drop, pages_dropped),
			  user);
	if (error)
		return error;
	args.pages_dropped = 0;
	error = colink_drop(opener, &args);
	if (put_user(args.pages_dropped, &user->pages_dropped))
		return -EFAULT;
	return error;
}

static long colink_ioctl(struct file *file, unsigned int command, unsigned long argument)
{
	struct colink_opener *opener = file->private_data;
	void __user *user = (void __user *)argument;

	switch (command) {
	case COLINK_REGISTER:
		return ioctl_register(opener, user);
	case COLINK_UNREGISTER:
		return colink_region_unregister(opener, argument);
	case COLINK_PREFETCH:
		return ioctl_prefetch(opener, user);
	case COLINK_DROP:
		return ioctl_drop(opener, user);
	default:
		return -ENOTTY;
	}
}

static int colink_open(struct inode *inode, struct file *file)
{
	struct colink_opener *opener = colink_opener_new();

	if (!opener)
		return -ENOMEM;
	file->private_data = opener;
	return nonseekable_open(inode, file);
}

static int colink_release(struct inode *inode, struct file *file)
{
	colink_opener_close(file->private_data);
	return 0;
}

static const struct file_operations colink_fops = {
	.owner = THIS_MODULE,
	.open = colink_open,
	.release = colink_release,
	.unlocked_ioctl = colink_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
};

static struct miscdevice colink_device = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "colink",
	.fops = &colink_fops,
	.mode = 0600,
};

static int __init colink_init(void)
{
	int error;

	error = colink_prefetch_init();
	if (error)
		return error;
	error = colink_kfunc_init();
	if (error)
		goto exit_prefetch;
	colink_counters_init();
	error = misc_register(&colink_device);
	if (error)
		goto exit_kfunc;
	return 0;

exit_kfunc:
	colink_counters_exit();
	colink_kfunc_exit();
exit_prefetch:
	colink_prefetch_exit();
	return error;
}
module_init(colink_init);

static void __exit colink_exit(void)
{
	misc_deregister(&colink_device);
	colink_counters_exit();
	colink_kfunc_exit();
	colink_prefetch_exit();
}
module_exit(colink_exit);

MODULE_DESCRIPTION("Prefetch of scattered file extents into the page cache");
MODULE_AUTHOR("The colink authors");
MODULE_LICENSE("GPL");
