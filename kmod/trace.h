/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Trace events: a request is queued when its plan is made, issues each of its ranges,
 * and is complete when they are read or given up. Before that, one that is not speculative
 * and that a program waits for says which pages it wanted, be they read now or before, without
 * those read over between them. `request` ties these together.
 * A page fault that reads the pages which BPF wants is no request, and has an event of its own.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM colink

#if !defined(COLINK_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define COLINK_TRACE_H

#include <linux/tracepoint.h>

#include "private.h"

TRACE_EVENT(colink_queue,
	    TP_PROTO(const struct colink_request *request),
	    TP_ARGS(request),
	    TP_STRUCT__entry(__field(u64, request)
			     __field(u32, region)
			     __field(u32, extents)
			     __field(u32, refused)
			     __field(bool, speculative)
			     __field(u64, resident)
			     __field(u64, pages)
			     __field(u64, ios)),
	    TP_fast_assign(__entry->request = request->id;
			   __entry->region = request->region->id;
			   __entry->extents = request->result.extents;
			   __entry->refused = request->result.refused;
			   __entry->speculative = request->speculative;
			   __entry->resident = request->result.pages_resident;
			   __entry->pages = request->result.pages_issued;
			   __entry->ios = request->result.ios;),
	    TP_printk("request=%llu region=%u %s extents=%u refused=%u resident=%llu pages=%llu ios=%llu",
		      __entry->request, __entry->region,
		      __entry->speculative ? "speculative" : "wanted", __entry->extents,
		      __entry->refused, __entry->resident, __entry->pages, __entry->ios));

DECLARE_EVENT_CLASS(colink_pages,
		    TP_PROTO(const struct colink_request *request, const struct inode *inode,
			     pgoff_t first, unsigned long pages),
		    TP_ARGS(request, inode, first, pages),
		    TP_STRUCT__entry(__field(u64, request)
				     __field(dev_t, dev)
				     __field(u64, ino)
				     __field(u64, first)
				     __field(u64, pages)),
		    TP_fast_assign(__entry->request = request->id;
				   __entry->dev = inode->i_sb->s_dev;
				   __entry->ino = inode->i_ino;
				   __entry->first = first;
				   __entry->pages = pages;),
		    TP_printk("request=%llu dev=%u:%u ino=%llu first=%llu pages=%llu",
			      __entry->request, MAJOR(__entry->dev), MINOR(__entry->dev),
			      __entry->ino, __entry->first, __entry->pages));

DEFINE_EVENT(colink_pages, colink_issue,
	     TP_PROTO(const struct colink_request *request, const struct inode *inode,
		      pgoff_t first, unsigned long pages),
	     TP_ARGS(request, inode, first, pages));

DEFINE_EVENT(colink_pages, colink_want,
	     TP_PROTO(const struct colink_request *request, const struct inode *inode,
		      pgoff_t first, unsigned long pages),
	     TP_ARGS(request, inode, first, pages));

TRACE_EVENT(colink_complete,
	    TP_PROTO(const struct colink_request *request, u64 ns),
	    TP_ARGS(request, ns),
	    TP_STRUCT__entry(__field(u64, request)
			     __field(u32, region)
			     __field(u64, pages)
			     __field(u64, given_up)
			     __field(u64, ns)),
	    TP_fast_assign(__entry->request = request->id;
			   __entry->region = request->region->id;
			   __entry->pages = request->result.pages_issued;
			   __entry->given_up = request->result.pages_given_up;
			   __entry->ns = ns;),
	    TP_printk("request=%llu region=%u pages=%llu given_up=%llu ns=%llu", __entry->request,
		      __entry->region, __entry->pages, __entry->given_up, __entry->ns));

TRACE_EVENT(colink_fault,
	    TP_PROTO(const struct inode *inode, pgoff_t first, unsigned long pages),
	    TP_ARGS(inode, first, pages),
	    TP_STRUCT__entry(__field(dev_t, dev)
			     __field(u64, ino)
			     __field(u64, first)
			     __field(u64, pages)),
	    TP_fast_assign(__entry->dev = inode->i_sb->s_dev;
			   __entry->ino = inode->i_ino;
			   __entry->first = first;
			   __entry->pages = pages;),
	    TP_printk("dev=%u:%u ino=%llu first=%llu pages=%llu", MAJOR(__entry->dev),
		      MINOR(__entry->dev), __entry->ino, __entry->first, __entry->pages));

#endif /* COLINK_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
